"""The monitor in a loop with Lightning Fabric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Fabric
from torch import nn
from torch.optim import Optimizer

from gradvitals.integrations.watch import Vitals, watch


def watch_fabric(
    fabric: Fabric,
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    *,
    log_dir: str | Path | None = None,
    logger: Any = None,
    **settings: Any,
) -> Vitals:
    """Watches what ``fabric.setup`` returned; see :func:`gradvitals.integrations.watch.watch`.

    The loss scaler is that of the precision. Call ``vitals.log(loss)`` once for each batch, with the loss that
    ``fabric.backward`` was given.

    Args:
        fabric: what set up the others.
        model, optimizer: what its ``setup`` returned; several optimizers as a list.
        log_dir, logger: None: the loggers of Fabric.
        **settings: ``total_steps``, ``every_n_steps``, ``accumulate_grad_batches`` and the others of ``watch``.

    Example:
        >>> import torch
        >>> fabric = Fabric(accelerator="cpu")
        >>> net, loss = nn.Linear(3, 1), nn.MSELoss()
        >>> model, optimizer = fabric.setup(net, torch.optim.SGD(net.parameters(), lr=0.1))
        >>> with watch_fabric(fabric, model, optimizer, total_steps=5) as vitals:
        ...     for _ in range(5):
        ...         value = loss(model(torch.randn(8, 3)), torch.ones(8, 1))
        ...         optimizer.zero_grad()
        ...         fabric.backward(value)
        ...         optimizer.step()
        ...         vitals.log(value)
        >>> vitals.measured_steps
        (0, 4)
    """
    if log_dir is None and logger is None:
        logger = list(fabric.loggers) or None
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    return watch(model, optimizer, scaler=scaler, log_dir=log_dir, logger=logger, **settings)
