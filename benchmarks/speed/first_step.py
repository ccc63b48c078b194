"""Ends the process at the end of the first training batch."""

import os
from typing import Any

from lightning import Callback


class FirstStep(Callback):
    """For what comes before it."""

    def on_train_batch_end(self, *_: Any) -> None:
        os._exit(0)
