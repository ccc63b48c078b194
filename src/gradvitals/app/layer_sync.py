"""``trainer.sync_batchnorm`` on every device."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.plugins import LayerSync
from torch import nn

from gradvitals.nets.sync_batch_norm import desynchronize, synchronize


class SyncAnywhere(LayerSync):
    """BatchNorm over all processes, in place; Lightning's own refuses processors."""

    def apply(self, model: nn.Module) -> nn.Module:
        trainer: Any = model.trainer
        synchronize(model, trainer.strategy.root_device)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        desynchronize(model)
        return model
