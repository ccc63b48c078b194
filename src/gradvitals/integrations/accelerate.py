"""The monitor in a loop with Hugging Face Accelerate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer

from gradvitals.integrations.watch import Vitals, watch


def watch_accelerator(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    *,
    log_dir: str | Path | None = None,
    logger: Any = None,
    **settings: Any,
) -> Vitals:
    """Watches what ``accelerator.prepare`` returned; see :func:`gradvitals.integrations.watch.watch`.

    Loss scaler and gradient accumulation are the accelerator's. Call ``vitals.log(loss)`` once for each batch, within
    ``accelerator.accumulate`` where that is used, with the loss that ``accelerator.backward`` was given.

    Args:
        accelerator: what prepared the others.
        model, optimizer: what its ``prepare`` returned; several optimizers as a list.
        log_dir, logger: None: the accelerator's trackers, those that it gets later included.
        **settings: ``total_steps``, ``every_n_steps`` and the others of ``watch``.

    Example:
        >>> import torch
        >>> accelerator = Accelerator(cpu=True)
        >>> model, loss = nn.Linear(3, 1), nn.MSELoss()
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> model, optimizer = accelerator.prepare(model, optimizer)
        >>> with watch_accelerator(accelerator, model, optimizer, total_steps=5) as vitals:
        ...     for _ in range(5):
        ...         value = loss(model(torch.randn(8, 3)), torch.ones(8, 1))
        ...         optimizer.zero_grad()
        ...         accelerator.backward(value)
        ...         _ = accelerator.clip_grad_norm_(model.parameters(), 1.0)
        ...         optimizer.step()
        ...         vitals.log(value)
        >>> vitals.measured_steps
        (0, 4)
    """

    def to_trackers(step: int, numbers: Mapping[str, float]) -> None:
        accelerator.log(dict(numbers), step=step)

    vitals = watch(
        model,
        optimizer,
        scaler=accelerator.scaler,
        accumulate_grad_batches=accelerator.gradient_accumulation_steps,
        log_dir=log_dir,
        logger=to_trackers if log_dir is None and logger is None else logger,
        **settings,
    )
    vitals.loss_divisor = accelerator.gradient_accumulation_steps
    return vitals
