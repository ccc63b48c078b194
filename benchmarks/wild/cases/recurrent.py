"""Recurrent nets: tasks that need memory and tasks that do not, fused kernels, packed sequences and cells by hand."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch
from case import Case, Training
from cases.sequences import LETTERS, letter_entropy, manual
from cases.supervised import (
    Batch,
    Optimizer,
    Supervised,
    accuracy,
    adam,
    dice,
    explained,
    loader,
    predicted,
    sgd,
    shuffled,
    split,
)
from lightning import LightningModule
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

CLIP = {"gradient_clip_val": 1.0}
SYMBOLS = 4
CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


@cache
def adding(steps: int) -> tuple[list[Tensor], list[Tensor]]:
    """Returns random numbers with two of them marked, and the sum of those (Hochreiter & Schmidhuber, 1997)."""
    n, half = 20_000, steps // 2
    numbers = torch.rand(n, steps, generator=dice())
    marks = torch.zeros(n, steps)
    marks[torch.arange(n), torch.randint(half, (n,), generator=dice(1))] = 1
    marks[torch.arange(n), torch.randint(half, steps, (n,), generator=dice(2))] = 1
    return split(torch.stack([numbers, marks], 2), (numbers * marks).sum(1, keepdim=True), held_out=0.05)


@cache
def symbols(steps: int, at: int, shortest: int | None = None) -> tuple[list[Tensor], list[Tensor]]:
    """Returns sequences of symbols, one-hot, their lengths, and the symbol at one place of each."""
    n = 8000
    drawn = torch.randint(SYMBOLS, (n, steps), generator=dice())
    lengths = torch.randint(shortest or steps, steps + 1, (n,), generator=dice(1))
    place = torch.full((n,), at) if at >= 0 else lengths + at
    label = drawn[torch.arange(n), place]
    return split(F.one_hot(drawn, SYMBOLS).float(), lengths, label, held_out=0.1)


@cache
def rows() -> tuple[list[Tensor], list[Tensor]]:
    """Returns the digits as eight rows of eight pixels."""
    digits = load_digits()
    return split(torch.tensor(digits.images, dtype=torch.float32) / 16, torch.tensor(digits.target))


class Reads(nn.Module):
    """A recurrent layer, and a linear one on its last state or on the mean of all.

    Args:
        recurrent: the layer; the recurrent weights of its first layer are drawn anew where ``std`` is given.
        outputs: number of outputs.
        identity: the recurrent weights are the identity.
    """

    def __init__(self, recurrent: nn.RNNBase, outputs: int, *, std: float | None = None, identity: bool = False,
                 orthogonal: bool = False, mean: bool = False):  # fmt: skip
        super().__init__()
        self.recurrent, self.mean = recurrent, mean
        self.head = nn.Linear(recurrent.hidden_size * (2 if recurrent.bidirectional else 1), outputs)
        weights = recurrent.weight_hh_l0
        if std is not None:
            nn.init.normal_(weights, std=std / recurrent.hidden_size**0.5)
        if identity:
            nn.init.eye_(weights)
        if orthogonal:
            for gate in weights.detach().split(recurrent.hidden_size):
                nn.init.orthogonal_(gate)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            states = self.recurrent(x)[0]
            return self.head(states.mean(1) if self.mean else states[:, -1])
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        last = self.recurrent(packed)[1]
        return self.head((last[0] if isinstance(last, tuple) else last)[-1])


class ByHand(nn.Module):
    """A cell that is called once for each time step."""

    def __init__(self, cell: str, inputs: int, width: int, outputs: int, std: float | None = None):
        super().__init__()
        self.cell, self.head = CELLS[cell](inputs, width), nn.Linear(width, outputs)
        if std is not None:
            nn.init.normal_(self.cell.weight_hh, std=std / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


def sums(net: nn.Module, optimizer: Optimizer, steps: int, length: int = 100, **trainer: Any) -> Training:
    """Trains a net on the adding problem."""
    train, held = adding(length)
    module = Supervised(net, lambda net, batch: F.mse_loss(net(batch[0]), batch[1]), optimizer)
    score = partial(_explained, held=held)
    return Training(module, loader(*train), steps, score, 0.0, 0.8, trainer)


def _explained(module: LightningModule, held: list[Tensor]) -> float:
    return explained(predicted(module, held[0]), held[1])


def one_symbol(
    net: nn.Module, optimizer: Optimizer, steps: int, data: tuple[list[Tensor], list[Tensor]], packed: bool = False
) -> Training:
    """Trains a net to give one symbol of a sequence."""
    (x, lengths, y), held = data

    def outputs(net: nn.Module, batch: Batch) -> Tensor:
        return net(batch[0], batch[1]) if packed else net(batch[0])

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(outputs(net, batch), batch[2])

    def score(module: LightningModule) -> float:
        with torch.no_grad():
            return accuracy(outputs(module.eval().net, held), held[2])

    module = Supervised(net, loss, optimizer)
    return Training(module, loader(x, lengths, y), steps, score, 1 / SYMBOLS, 0.9, CLIP)


def digits(net: nn.Module, optimizer: Optimizer = adam(3e-3), scramble: bool = False) -> Training:  # noqa: B008
    """Trains a net on the rows of digits."""
    (x, y), held = rows()
    y = shuffled(y) if scramble else y
    module = Supervised(net, lambda net, batch: F.cross_entropy(net(batch[0]), batch[1]), optimizer)
    return Training(module, loader(x, y), 300, lambda m: accuracy(predicted(m, held[0]), held[1]), 0.1, 0.9, held=held)


class Letters(nn.Module):
    """Two layers of LSTM over letters."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), 24)
        self.lstm = nn.LSTM(24, width, num_layers=2, dropout=0.1, batch_first=True)
        self.head = nn.Linear(width, len(LETTERS))

    def forward(self, letters: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(letters))[0])


def letters(optimizer: Optimizer = adam(1e-2), length: int = 80) -> Training:  # noqa: B008
    """Trains it to give each next letter of a long window."""
    numbers = manual()
    cut = int(len(numbers) * 0.9)
    train, held = numbers[:cut].unfold(0, length + 1, 16), numbers[cut:].unfold(0, length + 1, 128)

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(net(batch[0][:, :-1]).flatten(0, 1), batch[0][:, 1:].flatten())

    def score(module: LightningModule) -> float:
        with torch.no_grad():
            return max(-10.0, -loss(module.eval().net, [held]).nan_to_num(10).item())

    module = Supervised(Letters(), loss, optimizer)
    return Training(module, loader(train, batch=16), 250, score, -letter_entropy(), -2.4, CLIP)


def plain(inputs: int, width: int = 64, **options: Any) -> nn.RNN:
    """Makes a plain recurrent layer."""
    return nn.RNN(inputs, width, batch_first=True, **options)


GATED, SLOWER = adam(1e-2), adam(1e-3)
CASES = [
    Case(
        "adding_gru",
        "GRU, orthogonal, adding problem of 100 steps",
        lambda: sums(Reads(nn.GRU(2, 64, batch_first=True), 1, orthogonal=True), GATED, 400, **CLIP),
    ),
    Case(
        "adding_irnn",
        "ReLU RNN from the identity, adding problem of 50 steps",
        lambda: sums(Reads(plain(2, nonlinearity="relu"), 1, identity=True), SLOWER, 900, 50, **CLIP),
    ),
    Case(
        "last_symbol_rnn",
        "tanh RNN, N(0, 1/n), 100 steps of which the last but one counts: no memory is needed",
        lambda: one_symbol(Reads(plain(SYMBOLS), SYMBOLS, std=1.0), SLOWER, 400, symbols(100, -2)),
    ),
    Case(
        "last_symbol_lstm",
        "LSTM, packed sequences of 40 to 100 steps, of which the last but two counts",
        lambda: one_symbol(
            Reads(nn.LSTM(SYMBOLS, 48, batch_first=True), SYMBOLS), GATED, 400, symbols(100, -3, 40), packed=True
        ),
    ),
    Case("rows_cells", "GRUCell by hand, rows of digits", lambda: digits(ByHand("gru", 8, 64, 10))),
    Case(
        "rows_bilstm",
        "LSTM in both directions, mean of all states, rows of digits",
        lambda: digits(Reads(nn.LSTM(8, 48, batch_first=True, bidirectional=True), 10, mean=True)),
    ),
    Case("letters_lstm_long", "LSTM of two layers over 80 letters, Adam", letters),
    Case(
        "adding_rnn/vanishing",
        "tanh RNN, N(0, 1/n), adding problem of 100 steps",
        lambda: sums(Reads(plain(2, 128), 1, std=1.0), SLOWER, 600),
        "the gradient vanishes over time",
        ("vanishing",),
    ),
    Case(
        "first_symbol_rnn/vanishing",
        "tanh RNN, torch's initialization, 150 steps of which the first counts",
        lambda: one_symbol(Reads(plain(SYMBOLS), SYMBOLS), SLOWER, 500, symbols(150, 0)),
        "the gradient vanishes over time",
        ("vanishing",),
    ),
    Case(
        "first_symbol_lstm/vanishing",
        "LSTM, torch's initialization, 150 steps of which the first counts",
        lambda: one_symbol(Reads(nn.LSTM(SYMBOLS, 48, batch_first=True), SYMBOLS), SLOWER, 400, symbols(150, 0)),
        "the gradient vanishes over time",
        ("vanishing",),
    ),
    Case(
        "first_symbol_packed/vanishing",
        "tanh RNN, packed sequences of 100 to 150 steps, of which the first counts",
        lambda: one_symbol(Reads(plain(SYMBOLS), SYMBOLS), SLOWER, 400, symbols(150, 0, 100), packed=True),
        "the gradient vanishes over time",
        ("vanishing",),
    ),
    Case(
        "first_symbol_cells/vanishing",
        "RNNCell by hand, N(0, 1/n), 100 steps of which the first counts",
        lambda: one_symbol(ByHand("rnn", SYMBOLS, 48, SYMBOLS, std=0.8), SLOWER, 300, symbols(100, 0)),
        "the gradient vanishes over time",
        ("vanishing",),
    ),
    Case(
        "adding_rnn/exploding",
        "tanh RNN, adding problem of 100 steps, SGD",
        lambda: sums(Reads(plain(2), 1, std=2.5), sgd(0.01), 400),
        "recurrent weights 2.5 times too large: the gradient explodes over time",
        ("exploding",),
    ),
    Case(
        "adding_lstm/lr_low",
        "LSTM, adding problem of 50 steps",
        lambda: sums(Reads(nn.LSTM(2, 48, batch_first=True), 1), adam(1e-7), 300, 50, **CLIP),
        "Adam lr 1e-7",
        ("stalled",),
    ),
    Case(
        "rows_gru/shuffled",
        "GRU, rows of digits",
        lambda: digits(Reads(nn.GRU(8, 32, batch_first=True), 10), scramble=True),
        "labels are shuffled",
        ("not_learning",),
    ),
    Case(
        "letters_lstm_long/lr_high",
        "LSTM of two layers over 80 letters",
        lambda: letters(adam(3.0)),
        "Adam lr 3",
        ("unstable", "exploding", "saturated"),
    ),
]
