"""An experiment of Comet: one of one's own, or the one of Lightning's ``CometLogger``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradvitals.loggers.destination import Destination
from gradvitals.loggers.wandb_run import decoded


class CometExperiment(Destination):
    """An ``Experiment`` of the package ``comet_ml``, online or offline."""

    def __init__(self, experiment: Any) -> None:
        self._experiment = experiment

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        self._experiment.log_metrics(dict(values), step=step)

    def text(self, tag: str, text: str, step: int) -> None:
        self._experiment.log_text(text, step=step, metadata={"tag": tag})

    def picture(self, tag: str, png: bytes, step: int) -> None:
        self._experiment.log_image(decoded(png), name=tag, step=step)
