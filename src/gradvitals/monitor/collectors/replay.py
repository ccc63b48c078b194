"""Repeating a training step so that nothing remembers it."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torchmetrics import Metric

from gradvitals.vitals.hooks import buffers_kept


@contextmanager
def replayed_step(trainer: Trainer, module: LightningModule, rng: Tensor) -> Iterator[None]:
    """Let a training step be repeated with the same random numbers; moving statistics, metrics and logs stay.

    Args:
        trainer, module: whose step it is.
        rng: the state of the processor's generator before the step.
    """
    metrics = {m: copy.deepcopy(m.__dict__) for m in module.modules() if isinstance(m, Metric)}
    module.__dict__ |= {"log": _nothing, "log_dict": _nothing}
    try:
        with (
            buffers_kept(module),
            torch.random.fork_rng(),
            trainer.precision_plugin.train_step_context(),
            uncompiled(is_compiled(module)),
        ):
            torch.random.set_rng_state(rng)
            yield
    finally:
        del module.__dict__["log"], module.__dict__["log_dict"]
        for metric, state in metrics.items():
            metric.__dict__.update(state)


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass


def is_compiled(network: nn.Module) -> bool:
    """Whether a part is: by ``torch.compile(module)``, ``module.compile()``, or as a compiled LightningModule."""
    wrapper = getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ())
    own = getattr(network, "_compiler_ctx", None) is not None  # what Lightning leaves of the wrapper
    return own or any(isinstance(m, wrapper) or m._compiled_call_impl is not None for m in network.modules())


@contextmanager
def uncompiled(compiled: bool) -> Iterator[None]:
    """Run compiled code as it was written, because it takes no notice of hooks that come and go; it is kept for later.

    Args:
        compiled: whether there is any; if not, this costs nothing.
    """
    with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
        yield
