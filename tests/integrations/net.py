"""A small network, its batches, and what plain autograd in float64 finds in each step of its training."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from tests.callbacks.twin import Twin

SIZE, RATE, MOST = 4, 0.1, 0.05  # samples of a micro-batch, learning rate, norm from which clipping begins
SCALE = 2.0**10  # of the loss
NAMES, AFTER = ["body.0", "body.2"], {"body.0": "body.1"}
Batch = tuple[Tensor, Tensor]


class Net(nn.Module):
    """Returns its loss where it is given labels, as models of Hugging Face do.

    Attributes:
        logits: of all forward passes of training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logits: list[Tensor] = []
        self.body = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        logits = self.body(x)
        if self.training:
            self.logits.append(logits.detach())
        return logits if labels is None else {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def batches(number: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(SIZE, 5, generator=generator), torch.arange(SIZE) % 3) for _ in range(number)]


def losses_of(net: Net) -> list[float]:
    """The loss of each batch that a training has shown."""
    pairs = zip(net.logits, batches(len(net.logits)), strict=True)
    return [nn.functional.cross_entropy(logits, y).item() for logits, (_, y) in pairs]


def expected(
    net: Net, micro_batches: Sequence[Batch], per_step: int, clips: float | None = MOST
) -> list[dict[str, float]]:
    """The numbers of each step of SGD, from the network before the training."""
    net, found = copy.deepcopy(net).double(), []
    for at in range(0, len(micro_batches), per_step):
        step = micro_batches[at : at + per_step]
        twin = Twin(net, NAMES, AFTER).backward(step, nn.functional.cross_entropy)
        numbers = twin.before()
        if clips is not None:
            numbers |= twin.after_clipping(lambda parameters: clip_grad_norm_(parameters, clips))
            numbers["clip/fraction"] = float(clips < numbers["grad_norm/total"])
        numbers |= twin.step(lambda parameters: torch.optim.SGD(parameters, lr=RATE))
        net.load_state_dict(twin.net.state_dict())
        found.append(numbers)
    return found


class Kept:
    """A logger that keeps the numbers of each step."""

    def __init__(self) -> None:
        self.steps: dict[int, dict[str, float]] = {}

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None:
        self.steps.setdefault(step, {}).update(numbers)

    def assert_agrees(self, steps: Sequence[Mapping[str, float]], first: int = 0) -> None:
        """Asserts that these are the numbers, and that clipping was seen in those steps only in which it is."""
        assert sorted(self.steps) == list(range(first, first + len(steps)))
        for number, of_step in enumerate(steps, start=first):
            found = {tag: value for tag, value in self.steps[number].items() if tag in of_step}
            assert found == pytest.approx(dict(of_step), rel=1e-5, abs=1e-7)
            assert ("grad_norm_clipped/total" in self.steps[number]) == ("grad_norm_clipped/total" in of_step)


def scaled(accelerator: Accelerator) -> None:
    """Has an accelerator scale the loss in float32 on a CPU, for which it makes no scaler of its own."""
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    accelerator.native_amp = True  # it unscales where it believes that it runs in float16
    accelerator.state._mixed_precision = "fp16"
    accelerator.prepare_model = lambda model, **_: model  # without autocast, which is not exact


def hooks_of(net: nn.Module) -> int:
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in net.modules() for kind in kinds)
