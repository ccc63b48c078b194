"""``self.log`` in a training step without Lightning's collection of results, which scalars of one step do not need."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

# Arguments of `self.log` with which a value is that of its step alone; the others, such as a mean over the epoch or the
# progress bar, are left to Lightning. The sizes of batches and the processes matter only for means.
OF_A_STEP: dict[str, tuple[Any, ...]] = {
    "prog_bar": (False,),
    "logger": (None, True),
    "on_step": (None, True),
    "on_epoch": (None, False),
    "enable_graph": (False,),
    "sync_dist": (True, False),
    "batch_size": (None,),
    "rank_zero_only": (True, False),
}


class QuickLog:
    """Takes the place of ``self.log`` while a plain run calls ``training_step``.

    Callbacks find the values in ``trainer.callback_metrics`` and ``trainer.logged_metrics``, as with Lightning's own
    method; the loop sends them to the loggers.

    Args:
        trainer: of one device.

    Attributes:
        values: the latest of each name.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._log = trainer.lightning_module.log
        self.values: dict[str, Tensor] = {}

    def __call__(self, name: str, value: Any, *args: Any, **settings: Any) -> None:
        """Logs as ``LightningModule.log`` does, by which it is done unless the value is a scalar of one step."""
        if args or not self._is_of_a_step(name, value, settings):
            self._log(name, value, *args, **settings)
            return
        kept = self.values[name] = value.detach().clone().squeeze()
        self._trainer.callback_metrics[name] = self._trainer.logged_metrics[name] = kept

    def _is_of_a_step(self, name: str, value: Any, settings: dict[str, Any]) -> bool:
        return (
            isinstance(value, Tensor)
            and value.numel() == 1
            and value.dtype in (torch.float32, torch.float64)  # Lightning converts others
            and bool(self._trainer.loggers)  # Lightning warns that there are none
            and "/dataloader_idx_" not in name
            and all(given in OF_A_STEP.get(key, ()) for key, given in settings.items())
        )
