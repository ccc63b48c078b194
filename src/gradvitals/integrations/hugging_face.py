"""The monitor as a callback of the Hugging Face ``Trainer``.

What happens in a step, and where gradients are measured::

    on_step_begin
      for each micro-batch:
        loss = model(**inputs)
        accelerator.backward(loss / micro-batches)      <- grad_norm: after the last one, before clipping
        on_substep_end, except after the last one       <- a batch ends
      accelerator.clip_grad_norm_(max_grad_norm)
      optimizer.step()                                  <- grad_norm_clipped, update_ratio
      on_step_end                                       <- the last batch ends

The ``grad_norm`` that the Trainer logs is the total before clipping, of the latest step only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gradvitals.distributed.collectives import Collectives
from gradvitals.integrations.reporting import reporters
from gradvitals.integrations.returned_loss import ReturnedLoss
from gradvitals.integrations.watch import Vitals, watch
from gradvitals.monitor.logged_metrics import mode_for, witnesses
from gradvitals.monitor.settings import Settings

STATE = "gradvitals.pt"  # in the folder of a checkpoint


class GradientVitalsCallback(TrainerCallback):  # type: ignore[misc]  # mypy does not follow transformers
    """Watches the gradients, activations and updates of every layer in ``Trainer.train``.

    The numbers go to TensorBoard, W&B or MLflow where the Trainer reports to these. Checkpoints contain the state of
    the monitor, and a resumed training continues it. Metrics of evaluations are witnesses of progress.

    The loss of each step is the one that the model returns; where it returns none (label smoothing,
    ``compute_loss_func``), only the losses of measured steps are known. With ``torch_compile`` the same holds, and the
    first step is not measured. A Trainer announces no error: after one, the next training or :meth:`close` removes the
    hooks.

    Args:
        every_n_steps: measure one optimizer step in so many.
        log_dir, logger: see :func:`gradvitals.integrations.watch.watch`; None: where the Trainer reports to.
        **settings: the other fields of :class:`gradvitals.monitor.settings.Settings`, by name.

    Attributes:
        vitals: the monitor of the latest training; None before the first.

    Raises:
        TypeError: a name that is no setting.
        ValueError: a setting out of range.

    Example:
        >>> callback = GradientVitalsCallback(every_n_steps=50)
        >>> print(callback)  # of Trainer(..., callbacks=[callback])
        no training yet
    """

    def __init__(
        self, every_n_steps: int = 50, *, log_dir: str | Path | None = None, logger: Any = None, **settings: Any
    ) -> None:
        self.vitals: Vitals | None = None
        self._given = {"every_n_steps": every_n_steps, **settings}
        self._settings = Settings.of(self._given)
        if self._settings.metric is not None:
            mode_for(self._settings.metric, self._settings.mode)
        self._targets = {"log_dir": log_dir, "logger": logger}
        self._loss = ReturnedLoss()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.close()
        model, optimizer = kwargs["model"], kwargs["optimizer"]
        is_given = any(target is not None for target in self._targets.values())
        self.vitals = watch(
            model,
            optimizer,
            total_steps=state.max_steps,
            scaler=getattr(optimizer, "scaler", None),
            accumulate_grad_batches=args.gradient_accumulation_steps,
            processes=Collectives(args.world_size, rank=args.process_index),
            **(self._targets if is_given else reporters(args, state)),
            **self._given,
        )
        self._loss.attach(model, args.gradient_accumulation_steps)
        saved = _folder(args, state) / STATE
        if state.global_step and saved.exists():
            self.vitals.load_state_dict(torch.load(saved, weights_only=True))

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.vitals:
            self.vitals.log(self._loss.take())

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.on_substep_end(args, state, control)
        if self.vitals and self.vitals.should_stop:
            control.should_training_stop = True

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        metrics = kwargs["metrics"]
        if self.vitals:
            for metric in witnesses(metrics, self._settings.metric, self._settings.mode):
                self.vitals.take_metric(metric, state.global_step, metrics[metric.name])

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.vitals and (folder := _folder(args, state)).is_dir():
            content = self.vitals.state_dict()
            if state.is_world_process_zero:
                torch.save(content, folder / STATE)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes every hook; the numbers stay."""
        self._loss.detach()
        if self.vitals:
            self.vitals.close()

    def __str__(self) -> str:
        return str(self.vitals) if self.vitals else "no training yet"

    def _repr_html_(self) -> str | None:
        return self.vitals._repr_html_() if self.vitals else None


def _folder(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir or ".", f"checkpoint-{state.global_step}")
