"""A small recurrent network and its batches; run by torchrun, the profiles that two processes find, in found.json."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradvitals import watch
from tests.distributed import process_group
from tests.vitals.unrolled import unrolled

STEPS, SIZE, INPUTS, WIDTH = 6, 4, 3, 5
LAYER = "layer"
KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
Batch = tuple[Tensor, Tensor]


class Net(nn.Module):
    """Classifies a sequence by its last state."""

    def __init__(self, kind: str, by_cells: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind, self.by_cells = kind, by_cells
        self.layer = KINDS[kind](INPUTS, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, 2)
        if by_cells:
            weights = {name.removesuffix("_l0"): value for name, value in self.layer.state_dict().items()}
            self.layer = CELLS[kind](INPUTS, WIDTH)
            self.layer.load_state_dict(weights)

    def forward(self, x: Tensor) -> Tensor:
        if not self.by_cells:
            return self.head(self.layer(x)[0][:, -1])
        state = None
        for step in range(x.shape[1]):
            state = self.layer(x[:, step], state)
        return self.head(state[0] if self.kind == "lstm" else state)


def batches(count: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(SIZE, STEPS, INPUTS, generator=generator), torch.arange(SIZE) % 2) for _ in range(count)]


def of_two_lengths() -> list[Batch]:
    (x, y), (short, _) = batches(2)
    return [(x, y), (short[:, :4], y)]


def twin(net: Net, data: list[Batch], per_step: int, rate: float) -> Iterator[list[float]]:
    """Yields the norms by time step, in each step of SGD, of the network unrolled by hand in float64."""
    net, weights = copy.deepcopy(net).double(), dict(net.layer.named_parameters())
    layer = KINDS[net.kind](INPUTS, WIDTH, batch_first=True).double()
    suffix = "_l0" if net.by_cells else ""
    layer.load_state_dict({f"{name}{suffix}": weight.double() for name, weight in weights.items()})
    parameters = [*layer.parameters(), *net.head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=rate)
    for at in range(0, len(data), per_step):
        squares = 0.0
        for x, y in data[at : at + per_step]:
            outputs, leaves = unrolled(net.kind, layer, x.double())
            (F.cross_entropy(net.head(outputs[:, -1]), y) / per_step).backward()
            squares = squares + torch.stack([leaf.grad.square().sum() for leaf in leaves])
        optimizer.step()
        optimizer.zero_grad()
        yield squares.sqrt().tolist()


def profile(net: Net, data: list[Batch]) -> list[float]:
    """Of one step, in which each process has one of the batches."""
    rank = torch.distributed.get_rank()
    model = nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every_n_steps=1) as vitals:
        x, y = data[rank]
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        vitals.log(loss)
    (label,) = vitals.through_time.labels
    return list(vitals.through_time.of(label)[0].norms)


def main(folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    found = {kind: profile(Net(kind), batches(2)) for kind in KINDS}
    found |= {f"{kind} by cells": profile(Net(kind, by_cells=True), batches(2)) for kind in KINDS}
    found["two lengths"] = profile(Net("gru"), of_two_lengths())
    if torch.distributed.get_rank() == 0:
        (Path(folder) / "found.json").write_text(json.dumps(found))
    process_group.destroy()


if __name__ == "__main__":
    main(sys.argv[1])
