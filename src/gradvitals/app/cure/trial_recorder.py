"""The callback that ends a trial after its budget and records what the trial is judged by."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from lightning import Callback, LightningModule, Trainer

WINDOW = 30  # losses in the mean at the end, as many as the diagnosis averages


class TrialRecorder(Callback):
    """Records the latest losses and the validation curves, and ends the fit after a number of steps.

    Args:
        max_steps: of the optimizer; None: the whole training.

    Attributes:
        steps_planned: of a full training; None: unlimited.
        curves: validation tag -> values as (step, value).
    """

    def __init__(self, max_steps: int | None) -> None:
        self._max_steps = max_steps
        self._losses: deque[Any] = deque(maxlen=WINDOW)
        self.steps_planned: int | None = None
        self.curves: dict[str, list[tuple[int, float]]] = {}

    @property
    def mean_loss(self) -> float | None:
        return sum(map(float, self._losses)) / len(self._losses) if self._losses else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        steps = trainer.estimated_stepping_batches
        self.steps_planned = int(steps) if math.isfinite(steps) and steps > 0 else None

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            self._losses.append(loss.detach())
        if self._max_steps is not None and trainer.global_step >= self._max_steps:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            for tag, value in trainer.callback_metrics.items():
                if tag.startswith("val/"):
                    self.curves.setdefault(tag, []).append((trainer.global_step, float(value)))
