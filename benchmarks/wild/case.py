"""What a case of the benchmark is: a training, and what is known of it beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader


@dataclass
class Training:
    """A module, its data, and when it has learnt.

    Attributes:
        module: what is fitted.
        loader: of training data, synthetic or of scikit-learn; never downloaded.
        steps: ``max_steps`` of the Trainer.
        score: on held-out data; higher is better.
        trivial: the score of the best answer that ignores the input.
        good: the score from which on it has learnt as it should.
        trainer: further keywords of the Trainer.
        held: held-out data, on which the module logs ``val/loss`` after each epoch; None: it does not validate.
    """

    module: LightningModule
    loader: DataLoader
    steps: int
    score: Callable[[LightningModule], float]
    trivial: float
    good: float
    trainer: dict[str, Any] = field(default_factory=dict)
    held: Sequence[Tensor] | None = None


@dataclass(frozen=True)
class Case:
    """A training by name.

    Attributes:
        name: ``cnn``, or ``cnn/lr_low`` for a faulty one.
        kind: architecture, task and optimizer in words.
        build: makes the training anew.
        fault: in words; empty: it is meant to learn.
        helps: the verdicts whose remedy would help; empty for a fault that no verdict names.
    """

    name: str
    kind: str
    build: Callable[[], Training]
    fault: str = ""
    helps: tuple[str, ...] = ()
