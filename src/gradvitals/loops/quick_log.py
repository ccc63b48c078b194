"""``self.log`` in less time: without Lightning's collection of results in a training step, and without its moves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection
from torch import Tensor

STEP = "training_step"


class QuickLog:
    """Takes the place of ``self.log`` while a plain run calls ``training_step``.

    Lightning's own method logs the first value of each name. A later one that is a scalar of its step alone goes
    straight to the place where Lightning keeps it: there a mean over the epoch, or what is shown in the progress bar,
    would take more work. So the loggers, ``trainer.callback_metrics`` and ``trainer.logged_metrics`` get the same.

    Args:
        trainer: of one device; its module has Lightning's ``log``.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer, self.module = trainer, trainer.lightning_module
        self._known: dict[str, tuple[dict[str, Any], Any]] = {}  # name -> arguments and where its value is kept

    def __call__(self, name: str, value: Any, *args: Any, **settings: Any) -> None:
        """Logs as ``LightningModule.log`` does."""
        kept: Any
        given, kept = self._known.get(name, (None, None))
        if args or settings != given or not _is_scalar(value):
            LightningModule.log(self.module, name, value, *args, **settings)
            if not args and (kept := self._of_a_step(name)):
                self._known[name] = settings, kept
            return
        kept._forward_cache = number = value.detach().clone().squeeze()
        vars(kept).update(value=number, has_reset=False)  # past torch's slow __setattr__
        connector = self._trainer._logger_connector
        connector._callback_metrics[name] = connector._logged_metrics[name] = number
        if connector._first_loop_iter:  # what is logged first in an epoch removes what its hook logged before
            connector._current_fx = STEP

    def _of_a_step(self, name: str) -> Any:
        """Where Lightning keeps a value, if it is logged as that of its step alone; else None."""
        results: Any = self._trainer._results
        kept = results.get(f"{STEP}.{name}")
        # Without a logger Lightning warns that there is none.
        if kept is None or not (kept.is_tensor and self._trainer.loggers):
            return None
        how = kept.meta
        is_quick = how.on_step and how.logger and not (how.on_epoch or how.prog_bar or how.enable_graph)
        return kept if is_quick else None

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A copy of the module that is made in its training step has Lightning's method."""
        return getattr, (self.module, "log")


def _is_scalar(value: Any) -> bool:
    """Whether Lightning keeps a value as it is."""
    return isinstance(value, Tensor) and value.numel() == 1 and value.dtype in (torch.float32, torch.float64)


class QuickResults(_ResultCollection):
    """Lightning's collection of results, which moves a result to its value's device only where it is on another one.

    Example:
        >>> results = QuickResults(training=False)
        >>> for loss in (1.0, 3.0):
        ...     results.log("validation_step", "val/loss", torch.tensor(loss), batch_size=8)
        >>> results["validation_step.val/loss"].compute()
        tensor(2.)
    """

    def __setitem__(self, key: str, result: Any) -> None:
        vars(result)["to"] = partial(_move, result)
        super().__setitem__(key, result)


def _move(result: Any, device: torch.device) -> Any:
    kept = vars(result).get("value")  # a metric has none before it is logged
    return result if kept is not None and kept.device == device else type(result).to(result, device)
