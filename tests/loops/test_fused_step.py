"""A fused Adam by its kernels, unless somebody has replaced its method; tests/loops/test_lean.py compares whole fits."""

from functools import partial, wraps

import pytest
import torch
from torch import nn
from torch.optim import Adam

from gradvitals.loops.fused_step import fused_step


def adam() -> Adam:
    return Adam([nn.Parameter(torch.ones(1))], lr=0.1, fused=True)


def test_torchs_own_method_is_passed_by():
    assert isinstance(fused_step(adam()), partial)


@pytest.mark.parametrize("keeps_its_name", [True, False])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_method_that_was_replaced_in_the_class_is_called(monkeypatch, keeps_its_name, is_first):
    before, known, calls = adam(), Adam.step, []

    def step(self, closure=None):
        calls.append("step")
        return known(self, closure)

    monkeypatch.setattr(Adam, "step", wraps(known)(step) if keeps_its_name else step)
    optimizer = adam() if is_first else before  # torch wraps the method of a class when one is made
    (weight,) = optimizer.param_groups[0]["params"]

    def closure() -> None:
        weight.grad = torch.ones(1)

    for _ in range(3):
        fused_step(optimizer)(closure)
    assert (len(calls), round(weight.item(), 4)) == (3, 0.7)
