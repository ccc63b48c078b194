"""Lightning's training loop, as the monitor sees it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torchmetrics import Metric

from gradvitals.distributed.collectives import Collectives


class LightningLoop:
    """Answers what :class:`gradvitals.monitor.loop.TrainingLoop` asks, for a Trainer and its module."""

    passes_labels = ends_together = True

    def __init__(self, trainer: Trainer, module: LightningModule) -> None:
        self._trainer, self._module = trainer, module
        self._epoch_loop = trainer.fit_loop.epoch_loop
        self.processes = Collectives.of(trainer)
        self.scaler = getattr(trainer.precision_plugin, "scaler", None)
        overrides = is_overridden("configure_gradient_clipping", module)
        self._clips_itself = bool(getattr(module, "clips", overrides))  # beside or instead of the Trainer
        self.clips = trainer.gradient_clip_val is not None or self._clips_itself
        self.can_repeat = module.automatic_optimization
        self.accumulates = trainer.accumulate_grad_batches if module.automatic_optimization else 1

    @property
    def optimizers(self) -> Sequence[Optimizer]:
        return self._trainer.optimizers

    @property
    def step(self) -> int:
        return self._epoch_loop._batches_that_stepped

    @property
    def optimizer_steps(self) -> int:
        return self._epoch_loop.global_step

    @property
    def planned_steps(self) -> int | None:
        steps = self._trainer.estimated_stepping_batches
        return int(steps) if math.isfinite(steps) and steps > 0 else None

    @property
    def should_stop(self) -> bool:
        return self._trainer.should_stop

    @should_stop.setter
    def should_stop(self, value: bool) -> None:
        self._trainer.should_stop = value

    def watch_clipping(self, see: Callable[[Optimizer, Tensor], None]) -> Callable[[], None] | None:
        """Replaces the precision plugin's clipping by norm by the same, which does not discard the norm."""
        trainer, plugin = self._trainer, self._trainer.precision_plugin
        by_norm = trainer.gradient_clip_val is not None and trainer.gradient_clip_algorithm in (None, "norm")
        if not by_norm or self._clips_itself:
            return None

        def clip(optimizer: Optimizer, clip_val: int | float) -> None:
            see(optimizer, clip_grad_norm_(list(plugin.main_params(optimizer)), clip_val))

        plugin.clip_grad_by_norm = clip  # type: ignore[method-assign]
        return lambda: vars(plugin).pop("clip_grad_by_norm", None)

    @contextmanager
    def repeat(self, batch: Any, batch_idx: int) -> Iterator[Callable[[], Tensor | None]]:
        module = self._module
        metrics = {m: copy.deepcopy(m.__dict__) for m in module.modules() if isinstance(m, Metric)}
        module.__dict__ |= dict.fromkeys(("log", "log_dict"), lambda *_, **__: None)
        try:
            with self._trainer.precision_plugin.train_step_context():
                yield lambda: _loss_of(module, batch, batch_idx)
        finally:
            del module.__dict__["log"], module.__dict__["log_dict"]
            for metric, state in metrics.items():
                metric.__dict__.update(state)


def _loss_of(module: LightningModule, batch: Any, batch_idx: int) -> Tensor | None:
    both = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
    output = module.training_step(batch, batch_idx) if both else module.training_step(batch)
    return output["loss"] if isinstance(output, Mapping) else output
