"""A run of Aim: one of one's own, or the one of Aim's logger for Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradvitals.loggers.destination import Destination
from gradvitals.loggers.wandb_run import decoded


class AimRun(Destination):
    """A ``Run`` of the package ``aim``."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        for tag, value in values.items():
            self._run.track(value, name=tag, step=step)

    def text(self, tag: str, text: str, step: int) -> None:
        import aim

        self._run.track(aim.Text(text), name=tag, step=step)

    def picture(self, tag: str, png: bytes, step: int) -> None:
        import aim

        self._run.track(aim.Image(decoded(png)), name=tag, step=step)
