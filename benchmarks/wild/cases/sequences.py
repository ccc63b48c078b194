"""Sequences: letters, words, signals and series."""

from __future__ import annotations

from functools import cache, partial
from pydoc_data import topics
from typing import Any

import torch
from case import Case, Training
from cases.supervised import (
    ADAM,
    ADAMW,
    FASTER,
    Batch,
    NeverZeroed,
    OfCopy,
    Optimizer,
    Rate,
    Supervised,
    accuracy,
    adam,
    adamw,
    dice,
    explained,
    loader,
    predicted,
    sgd,
    shuffled,
    split,
)
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

LETTERS = "abcdefghijklmnopqrstuvwxyz .,()\n"
CONTEXT = 32


@cache
def manual() -> Tensor:
    """Returns the letters of the manual of Python by number."""
    text = "\n".join(topics.topics[name] for name in sorted(topics.topics))[:200_000].lower()
    return torch.tensor([LETTERS.find(letter) for letter in text if letter in LETTERS])


@cache
def windows() -> tuple[Tensor, Tensor]:
    """Returns them as windows of letters, for training and held out."""
    numbers = manual()
    cut = int(len(numbers) * 0.9)
    return numbers[:cut].unfold(0, CONTEXT + 1, 8), numbers[cut:].unfold(0, CONTEXT + 1, 64)


@cache
def letter_entropy() -> float:
    """Returns the loss of letter frequencies alone."""
    share = torch.bincount(windows()[0].flatten(), minlength=len(LETTERS)).float()
    return torch.distributions.Categorical(share).entropy().item()


def next_letter(net: nn.Module, batch: Batch) -> Tensor:
    """Returns the cross-entropy of each next letter."""
    return F.cross_entropy(net(batch[0][:, :-1]).flatten(0, 1), batch[0][:, 1:].flatten())


def letters_score(module: LightningModule) -> float:
    """Returns minus the held-out loss by letter."""
    with torch.no_grad():
        return max(-10.0, -next_letter(module.eval(), [windows()[1]]).nan_to_num(10).item())


class GPT(nn.Module):
    """A causal transformer over letters."""

    def __init__(self, *, tied: bool = True, depth: int = 2, batch_first: bool = True, norm_first: bool = True,
                 dropout: float = 0.0, width: int = 48):  # fmt: skip
        super().__init__()
        self.embedding, self.position = nn.Embedding(len(LETTERS), width), nn.Embedding(CONTEXT, width)
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout, "gelu", batch_first=batch_first, norm_first=norm_first
        )
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, len(LETTERS), bias=False)
        for table in (self.embedding, self.position, self.head):
            nn.init.normal_(table.weight, std=0.02)
        if tied:
            self.head.weight = self.embedding.weight
        self.batch_first = batch_first

    def forward(self, letters: Tensor) -> Tensor:
        h = self.embedding(letters) + self.position(torch.arange(letters.shape[1]))
        length = h.shape[1 if self.batch_first else 0]
        return self.head(self.norm(self.blocks(h, mask=nn.Transformer.generate_square_subsequent_mask(length))))


class LetterLSTM(nn.Module):
    """An LSTM over letters."""

    def __init__(self, width: int = 96):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(len(LETTERS), 32), nn.LSTM(32, width, batch_first=True)
        self.head = nn.Linear(width, len(LETTERS))

    def forward(self, letters: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(letters))[0])


def language(
    net: nn.Module, optimizer: Optimizer, rate: Rate | None = None, steps: int = 400, module: type = Supervised
) -> Training:
    """Trains a net to predict the next letter."""
    made = module(net, next_letter, optimizer, rate)
    return Training(made, loader(windows()[0], batch=16), steps, letters_score, -letter_entropy(), -2.25)


def gpt(optimizer: Optimizer = ADAMW, rate: Rate | None = None, module: type = Supervised, steps: int = 400,
        **options: Any) -> Training:  # fmt: skip
    """Trains a GPT."""
    return language(GPT(**options), optimizer, rate, steps, module)


@cache
def checkpoint() -> dict[str, Tensor]:
    """Returns the weights of a GPT that was trained before."""
    torch.manual_seed(3)
    net = GPT()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    for batch, _ in zip(loader(windows()[0], batch=16), range(500), strict=False):
        optimizer.zero_grad()
        next_letter(net, batch).backward()
        optimizer.step()
    return net.state_dict()


def continued(lr: float = 3e-5) -> Training:
    """Trains a GPT further that was trained before."""
    training = gpt(adamw(lr), steps=300)
    training.module.net.load_state_dict(checkpoint())
    return training


def lstm(optimizer: Optimizer = ADAM, module: type = Supervised, trainer: dict[str, Any] | None = None) -> Training:
    """Trains a letter LSTM."""
    training = language(LetterLSTM(), optimizer, steps=400, module=module)
    training.trainer = trainer or {}
    return training


class Seq2Seq(nn.Module):
    """A GRU that reads digits and one that says them backwards, with the right digit before as its input."""

    def __init__(self, cut: bool = False, width: int = 96):
        super().__init__()
        self.cut = cut
        self.read, self.say = nn.Embedding(10, 24), nn.Embedding(11, 24)
        self.encoder, self.decoder = nn.GRU(24, width, batch_first=True), nn.GRU(24, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, digits: Tensor) -> Tensor:
        state = self.encoder(self.read(digits))[1]
        if self.cut:
            state = state.detach() * 0
        before = F.pad(digits.flip(1)[:, :-1], (1, 0), value=10)
        return self.head(self.decoder(self.say(before), state)[0])


def seq2seq(
    cut: bool = False, optimizer: Optimizer = FASTER, scramble: bool = False, trainer: dict | None = None
) -> Training:
    """Trains it on strings of five digits."""
    digits = torch.randint(10, (12_000, 5), generator=dice())
    (x,), (held,) = split(digits, held_out=0.05)
    y = shuffled(x) if scramble else x

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(net(batch[0]).flatten(0, 1), batch[1].flip(1).flatten())

    def score(module: LightningModule) -> float:
        return accuracy(predicted(module, held), held.flip(1))

    return Training(Supervised(Seq2Seq(cut), loss, optimizer), loader(x, y), 500, score, 0.1, 0.6, trainer or {})


class Speech(nn.Module):
    """A GRU in both directions that gives symbols by frame, the first of them blank."""

    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(12, 48, batch_first=True, bidirectional=True), nn.Linear(96, 7)

    def forward(self, frames: Tensor) -> Tensor:
        return self.head(self.gru(frames)[0])


def speech(frames_told: int = 20, scramble: bool = False) -> Training:
    """Trains it by CTC on five symbols of four noisy frames each."""
    symbols = torch.randint(1, 7, (3000, 5), generator=dice())
    patterns = torch.randn(7, 12, generator=dice(1))
    frames = patterns[symbols].repeat_interleave(4, 1)
    frames = frames + 0.5 * torch.randn(frames.shape, generator=dice(2))
    train, held = split(frames, symbols, held_out=0.05)
    if scramble:
        train[1] = shuffled(train[1])

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        n = len(batch[0])
        told, spoken = torch.full((n,), frames_told), torch.full((n,), 5)
        outputs = net(batch[0]).log_softmax(-1).transpose(0, 1)
        return F.ctc_loss(outputs, batch[1], told, spoken, zero_infinity=True)

    def score(module: LightningModule) -> float:
        best = predicted(module, held[0]).argmax(-1)
        said = [[int(s) for s in row.unique_consecutive() if s] for row in best]
        right = [
            sum(a == b for a, b in zip(s, t.tolist(), strict=False)) / 5 for s, t in zip(said, held[1], strict=True)
        ]
        return sum(right) / len(right)

    return Training(Supervised(Speech(), loss, ADAM), loader(*train, batch=32), 400, score, 0.17, 0.6, held=held)


class SkipGram(nn.Module):
    """Two tables of words with sparse gradients."""

    def __init__(self, zeros: bool = False):
        super().__init__()
        self.words, self.contexts = nn.Embedding(200, 16, sparse=True), nn.Embedding(200, 16, sparse=True)
        for table in (self.words, self.contexts):
            nn.init.normal_(table.weight, std=0.0 if zeros else 0.1)

    def forward(self, word: Tensor, context: Tensor) -> Tensor:
        return (self.words(word)[:, None] * self.contexts(context)).sum(-1)


def word2vec(zeros: bool = False, lr: float = 1e-2, unrelated: bool = False) -> Training:
    """Trains a skip-gram with five negative samples on words of eight topics."""
    word = torch.randint(200, (40_000,), generator=dice())
    near = torch.randint(25, (40_000,), generator=dice(1)) * 8 + word % 8
    any_word = torch.randint(200, (40_000, 6), generator=dice(2))
    noise = torch.rand(40_000, generator=dice(3)) < 0.1
    context = torch.cat([torch.where(noise, any_word[:, 0], near)[:, None], any_word[:, 1:]], 1)
    context = shuffled(context) if unrelated else context

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        outputs = net(*batch)
        return -F.logsigmoid(outputs[:, 0]).mean() - F.logsigmoid(-outputs[:, 1:]).sum(1).mean()

    def score(module: LightningModule) -> float:
        table = F.normalize(module.net.words.weight.detach(), dim=1)
        nearest = (table @ table.T - 2 * torch.eye(200)).argmax(1)
        return (nearest % 8 == torch.arange(200) % 8).float().mean().item()

    module = Supervised(SkipGram(zeros), loss, lambda parameters: torch.optim.SparseAdam(list(parameters), lr=lr))
    return Training(module, loader(word, context, batch=128), 800, score, 0.125, 0.7)


class Masked(nn.Module):
    """A bidirectional transformer that fills in masked tokens."""

    def __init__(self, dropout: float = 0.0, batch_first: bool = True):
        super().__init__()
        self.embedding, self.position = nn.Embedding(13, 48), nn.Embedding(16, 48)
        layer = nn.TransformerEncoderLayer(48, 4, 96, dropout, "gelu", batch_first=batch_first, norm_first=True)
        self.blocks, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(48, 12)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.blocks(self.embedding(tokens) + self.position(torch.arange(16))))


def masked(
    optimizer: Optimizer = ADAMW, dropout: float = 0.0, hide: float = 0.15, batch_first: bool = True
) -> Training:
    """Trains it on sequences that repeat three tokens."""
    tokens = torch.randint(12, (10_000, 3), generator=dice()).repeat(1, 6)[:, :16]
    (train,), (held,) = split(tokens, held_out=0.05)

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        hidden = torch.rand(batch[0].shape) < hide
        labels = batch[0].masked_fill(~hidden, -100)
        return F.cross_entropy(net(batch[0].masked_fill(hidden, 12)).flatten(0, 1), labels.flatten())

    def score(trained: LightningModule) -> float:
        hidden = torch.rand(held.shape, generator=dice(5)) < 0.15
        return accuracy(predicted(trained, held.masked_fill(hidden, 12))[hidden], held[hidden])

    return Training(
        Supervised(Masked(dropout, batch_first), loss, optimizer), loader(train, batch=32), 500, score, 1 / 12, 0.7
    )


class Bag(nn.Module):
    """The mean of a text's word vectors, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(2000, 24), nn.Linear(24, 4)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.bag(words))


def bag(
    optimizer: Optimizer = FASTER, *, unknown: bool = False, scramble: bool = False, untrained_zeros: bool = False
) -> Training:
    """Trains it on texts of four topics, of which a fifth of the words tell."""
    topic = torch.randint(4, (8000,), generator=dice())
    words = torch.randint(2000, (8000, 25), generator=dice(1))
    tells = torch.rand(words.shape, generator=dice(2)) < 0.2
    words = torch.where(tells, words // 4 * 4 + topic[:, None], words)
    train, held = split(words, topic)
    if unknown:
        train[0], held[0] = train[0] * 0, held[0] * 0
    if scramble:
        train[1] = shuffled(train[1])
    net = Bag()
    if untrained_zeros:
        nn.init.zeros_(net.bag.weight).requires_grad_(False)
    module = Supervised(net, lambda net, batch: F.cross_entropy(net(batch[0]), batch[1]), optimizer)
    return Training(
        module, loader(*train), 600, lambda m: accuracy(predicted(m, held[0]), held[1]), 0.25, 0.6, held=held
    )


class Forecast(nn.Module):
    """A GRU that gives the next value of a series."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.gru, self.head = nn.GRU(1, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.gru(series)[0][:, -1])


def forecast(
    *, broadcast: bool = False, scale: float = 1.0, offset: float = 0.0, optimizer: Optimizer = FASTER
) -> Training:
    """Trains it on sums of two waves with noise."""
    n, t = 4000, torch.arange(25.0)
    phase, height = torch.rand(2, n, 1, generator=dice()) * 6.28, torch.rand(2, n, 1, generator=dice(1))
    series = height[0] * (0.5 * t + phase[0]).sin() + height[1] * (0.9 * t + phase[1]).sin()
    series = (series + 0.1 * torch.randn(series.shape, generator=dice(2))) * scale + offset
    train, held = split(series[:, :-1, None], series[:, -1:])
    if broadcast:
        train[1] = train[1][:, 0]
    module = Supervised(Forecast(), lambda net, batch: F.mse_loss(net(batch[0]), batch[1]), optimizer)
    return Training(
        module, loader(*train), 500, lambda m: explained(predicted(m, held[0]), held[1]), 0.0, 0.7, held=held
    )


def sdr(outputs: Tensor, targets: Tensor) -> Tensor:
    """Returns the ratio of signal to distortion in dB, whatever the scale."""
    shared = (outputs * targets).sum(-1, keepdim=True) / targets.square().sum(-1, keepdim=True) * targets
    noise = (outputs - shared).square().sum(-1)
    return 10 * ((shared.square().sum(-1) + 1e-8) / (noise + 1e-8)).log10().mean()


def denoise(sign: float = -1.0, optimizer: Optimizer = ADAM) -> Training:
    """Trains convolutions to clean waves of noise, on a loss in dB that is negative at the end."""
    t = torch.arange(128.0)
    wave = (
        t * (0.1 + 0.3 * torch.rand(3000, 1, generator=dice())) + 6.28 * torch.rand(3000, 1, generator=dice(1))
    ).sin()
    train, held = split(wave + torch.randn(wave.shape, generator=dice(2)), wave, held_out=0.1)
    net = nn.Sequential(
        nn.Unflatten(1, (1, 128)),
        nn.Conv1d(1, 12, 9, padding=4), nn.ReLU(),
        nn.Conv1d(12, 12, 9, padding=4), nn.ReLU(),
        nn.Conv1d(12, 1, 9, padding=4), nn.Flatten(),
    )  # fmt: skip
    module = Supervised(net, lambda net, batch: sign * sdr(net(batch[0]), batch[1]), optimizer)

    def score(trained: LightningModule) -> float:
        return sdr(predicted(trained, held[0]), held[1]).nan_to_num(-30).item()

    return Training(module, loader(*train, batch=32), 400, score, -12.0, 5.0, held=held)


GPTS = "GPT over letters, AdamW"
LSTM = "LSTM over letters, Adam"
CASES = [
    Case("gpt", f"{GPTS}, head tied to the table", gpt),
    Case("gpt_untied", f"{GPTS}, head of its own", partial(gpt, tied=False)),
    Case(
        "gpt_warmup",
        f"{GPTS}, warm-up of a third of the run",
        partial(gpt, rate=lambda s: min(1, (s + 1) / 150), steps=450),
    ),
    Case("gpt_continued", f"{GPTS} 3e-5, from a trained checkpoint", continued),
    Case("letters_lstm", f"{LSTM}, clipped", partial(lstm, trainer={"gradient_clip_val": 1.0})),
    Case("seq2seq", "GRU to GRU with teacher forcing, Adam", seq2seq),
    Case("ctc", "bidirectional GRU, CTC, Adam", speech),
    Case("word2vec", "skip-gram with negative samples, SparseAdam", word2vec),
    Case("masked_lm", "masked language model, AdamW", masked),
    Case("bag_of_words", "text classification, EmbeddingBag, Adam", bag),
    Case("forecast", "GRU on time series, MSE, Adam", forecast),
    Case("denoise", "convolutions on a wave, SI-SDR, Adam", denoise),
    Case("gpt/lr_low", GPTS, partial(gpt, adamw(1e-7)), "AdamW lr 1e-7", ("stalled", "slow")),
    Case("gpt/lr_30x", GPTS, partial(gpt, adamw(0.3)), "AdamW lr 0.3, no warm-up", ("unstable", "exploding")),
    Case(
        "gpt/post_ln_deep",
        GPTS,
        partial(gpt, adamw(1e-2), depth=8, norm_first=False, steps=200),
        "post-LN, 8 layers, lr 1e-2 without warm-up",
        ("unstable", "vanishing", "exploding"),
    ),
    Case("gpt/copied", GPTS, partial(gpt, module=OfCopy), "the optimizer has the parameters of a copy", ("no_update",)),
    Case(
        "gpt/decays",
        GPTS,
        partial(gpt, rate=lambda s: 0.5**s),
        "the rate is halved at each step instead of each epoch",
        ("rate_decays",),
    ),
    Case(
        "masked_lm/wrong_axis",
        "masked language model, AdamW",
        partial(masked, batch_first=False),
        "batch_first forgotten",
        ("not_learning",),
    ),
    Case("letters_lstm/lr_high", LSTM, partial(lstm, adam(3.0)), "Adam lr 3", ("unstable", "exploding", "saturated")),
    Case(
        "letters_lstm/overclipped",
        f"{LSTM} replaced by SGD",
        partial(lstm, sgd(0.1), trainer={"gradient_clip_val": 1e-4}),
        "gradients are clipped to 1e-4",
        ("overclipped",),
    ),
    Case(
        "letters_lstm/never_zeroed",
        LSTM,
        partial(lstm, adam(3e-2), NeverZeroed),
        "gradients are never zeroed",
        ("no_update", "unstable"),
    ),
    Case(
        "seq2seq/cut",
        "GRU to GRU, Adam",
        partial(seq2seq, cut=True),
        "the encoder's state is detached and zeroed",
        ("no_update",),
    ),
    Case(
        "seq2seq/shuffled",
        "GRU to GRU, Adam",
        partial(seq2seq, scramble=True),
        "targets belong to other inputs",
        ("not_learning",),
    ),
    Case(
        "seq2seq/lr_high",
        "GRU to GRU, Adam",
        partial(seq2seq, optimizer=adam(10.0)),
        "Adam lr 10",
        ("unstable", "exploding", "saturated"),
    ),
    Case(
        "ctc/shuffled",
        "bidirectional GRU, CTC",
        partial(speech, scramble=True),
        "symbols of other recordings",
        ("not_learning",),
    ),
    Case(
        "ctc/short",
        "bidirectional GRU, CTC",
        partial(speech, frames_told=3),
        "frames told are fewer than symbols: the loss is 0",
        ("bad_data", "head", "not_learning", "no_update"),
    ),
    Case(
        "word2vec/zeros", "skip-gram, SparseAdam", partial(word2vec, zeros=True), "both tables are zero", ("poor_init",)
    ),
    Case("word2vec/lr_low", "skip-gram, SparseAdam", partial(word2vec, lr=1e-6), "lr 1e-6", ("stalled", "slow")),
    Case(
        "word2vec/unrelated",
        "skip-gram, SparseAdam",
        partial(word2vec, unrelated=True),
        "contexts of other words",
        ("not_learning",),
    ),
    Case(
        "masked_lm/lr_high",
        "masked language model, AdamW",
        partial(masked, adamw(1.0)),
        "AdamW lr 1",
        ("unstable", "exploding"),
    ),
    Case(
        "masked_lm/all_masked",
        "masked language model, AdamW",
        partial(masked, hide=1.1),
        "every token is masked",
        ("not_learning", "bad_data"),
    ),
    Case(
        "masked_lm/dropout",
        "masked language model, AdamW",
        partial(masked, adamw(1e-3), dropout=0.99),
        "dropout 0.99",
        ("not_learning",),
    ),
    Case(
        "bag_of_words/unknown",
        "EmbeddingBag, Adam",
        partial(bag, unknown=True),
        "the vocabulary is broken: each word is the unknown one",
        ("not_learning", "bad_data"),
    ),
    Case(
        "bag_of_words/shuffled",
        "EmbeddingBag, Adam",
        partial(bag, scramble=True),
        "labels are shuffled",
        ("not_learning",),
    ),
    Case(
        "bag_of_words/zeros_frozen",
        "EmbeddingBag, Adam",
        partial(bag, untrained_zeros=True),
        "the table is zero and frozen",
        ("no_update", "poor_init"),
    ),
    Case(
        "forecast/broadcast",
        "GRU on time series, MSE",
        partial(forecast, broadcast=True),
        "targets (n,) against outputs (n, 1)",
        ("head",),
    ),
    Case(
        "forecast/raw",
        "GRU on time series, MSE",
        partial(forecast, scale=1e3, offset=1e4),
        "raw values about 1e4",
        ("bad_data", "target_scale", "saturated"),
    ),
    Case(
        "denoise/wrong_sign",
        "SI-SDR",
        partial(denoise, sign=1.0),
        "SI-SDR is minimized",
        ("not_learning", "unstable", "head"),
    ),
    Case(
        "denoise/lr_high",
        "SI-SDR",
        partial(denoise, optimizer=sgd(1e3)),
        "SGD lr 1000",
        ("unstable", "dead_units", "exploding", "non_finite"),
    ),
]
