"""Schedules of the learning rate that end with the fit, and what becomes of them where a fit is made longer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lightning import Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradvitals.build import build
from gradvitals.formatting import number

NOT_ARGUMENTS = ("interval", "monitor", "on_resume")  # of the scheduler's class
CYCLED = ("lr", "betas", "momentum")  # what a scheduler sets in the parameter groups of an optimizer


class OnResume(StrEnum):
    """What becomes of a schedule whose fit is resumed with another length."""

    EXTEND = "extend"  # from here on the rate is that of a fit which was this long from its start
    KEEP = "keep"  # the schedule ends where it was to end, and its last rate stays


@dataclass(frozen=True)
class FitLength:
    """How long a fit is, in epochs (the last of which may be cut) and in optimizer steps."""

    epochs: int
    steps: int

    @classmethod
    def of(cls, trainer: Trainer, epoch_began: int | None = None) -> FitLength:
        """Returns the length of a fit, what was trained before it was resumed included.

        Args:
            trainer: in a fit.
            epoch_began: the step at which the current epoch began. Earlier epochs may have had other numbers of steps:
                cut by ``max_steps``, or with another batch size. None: they had as many as this one.

        Raises:
            ValueError: neither ``max_epochs`` nor ``max_steps`` ends it.
        """
        trainer.fit_loop.setup_data()  # which counts the batches
        if not math.isfinite(trainer.estimated_stepping_batches):
            raise ValueError("a schedule needs to know the end: set trainer.max_epochs or trainer.max_steps")
        if not math.isfinite(trainer.num_training_batches):
            return cls(1, max(trainer.max_steps, 1))
        per_epoch = max(math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches), 1)
        epoch = trainer.current_epoch
        began = epoch * per_epoch if epoch_began is None else epoch_began
        is_limited = trainer.max_epochs is not None and trainer.max_epochs >= 0
        limits = [began + (trainer.max_epochs - epoch) * per_epoch] if is_limited else []  # type: ignore[operator]
        limits += [trainer.max_steps] if trainer.max_steps >= 0 else []
        steps = max(min(limits), 1)
        return cls(max(epoch + math.ceil((steps - began) / per_epoch), 1), steps)


@dataclass(frozen=True)
class LRSchedule:
    """How the learning rate changes.

    Args:
        spec: of a scheduler of ``torch.optim.lr_scheduler`` (see :func:`gradvitals.build.build`). Beside its arguments,
            of which ``T_max``, ``total_steps`` and ``max_lr`` are found where they are None, it has ``interval``
            (``step`` or ``epoch``), ``monitor`` and ``on_resume``.

    Example:
        >>> import torch
        >>> schedule = LRSchedule({"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": None})
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> schedule.last_step(schedule.build(optimizer, FitLength(epochs=4, steps=160)))
        4
    """

    spec: Mapping[str, Any]

    @property
    def interval(self) -> str:
        return self.spec.get("interval", "epoch")

    @property
    def monitor(self) -> str:
        return self.spec.get("monitor", "val/loss")

    @property
    def on_resume(self) -> OnResume:
        return OnResume(self.spec.get("on_resume", OnResume.EXTEND))

    def build(self, optimizer: Optimizer, length: FitLength) -> LRScheduler:
        """Returns the scheduler of a fit.

        Raises:
            ValueError: an argument that the scheduler does not take.
        """
        arguments = {key: value for key, value in self.spec.items() if key not in NOT_ARGUMENTS}
        end = self._in_my_unit(length)
        offers = {"T_max": end, "total_steps": end, "max_lr": optimizer.param_groups[0]["lr"]}
        return build(arguments, LRScheduler, {"optimizer": optimizer, **offers})

    def _in_my_unit(self, length: FitLength) -> int:
        return length.steps if self.interval == "step" else length.epochs

    def last_step(self, scheduler: LRScheduler) -> int | None:
        """Returns how often a scheduler may step: a cosine would climb afterwards, and one cycle would raise an error.

        None: any number of times, as where ``T_max`` was chosen by the user, who may want several periods.
        """
        if isinstance(total := getattr(scheduler, "total_steps", None), int):
            return total - 1  # torch allows one more, in which the rate rises
        return getattr(scheduler, "T_max", None) if self.spec.get("T_max") is None else None

    def is_over(self, scheduler: LRScheduler) -> bool:
        """Returns whether the rate has reached its end, where it stays."""
        last = self.last_step(scheduler)
        return last is not None and scheduler.last_epoch >= last

    def follow(self, scheduler: LRScheduler, like: Optimizer, length: FitLength, trained: FitLength) -> str | None:
        """Adapts the restored scheduler of a resumed fit, and the rate of its optimizer, to the length of this fit.

        Args:
            scheduler: is changed, with its optimizer, unless ``on_resume`` is ``keep``.
            like: an optimizer with the settings that the one of the scheduler began with, of any parameter.
            length: of this fit.
            trained: how much of it is over.

        Returns:
            What was decided, in one line; None where the end is the same or the schedule has none.
        """
        other = self.build(like, length)
        before, now = self.last_step(scheduler), self.last_step(other)
        if before is None or now is None or before == now:
            return None
        name, rate, end = type(scheduler).__name__, _rate(scheduler.optimizer), self._in_my_unit(length)
        old_end = before + end - now  # one cycle takes its last step before the end
        if self.on_resume is OnResume.KEEP:
            floor = f"its rate of {number(rate)} stays" if self.is_over(scheduler) else "its last rate stays"
            return f"{name} still ends at {self.interval} {old_end} of {end}; then {floor}"
        like.step()  # without gradients it changes nothing; torch expects it before the scheduler's steps
        taken = max(scheduler.last_epoch, self._in_my_unit(trained))  # one that ended earlier takes no more steps
        for _ in range(min(taken, now)):
            other.step()
        for group, found in zip(scheduler.optimizer.param_groups, like.param_groups, strict=True):
            group.update({key: found[key] for key in CYCLED if key in group})
        scheduler.load_state_dict(other.state_dict())
        change = f"from {number(rate)} to {number(_rate(like))} at {self.interval} {taken}"
        return f"{name} ends at {self.interval} {end} instead of {old_end}; the rate changes {change}"


def _rate(optimizer: Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])
