"""Weights & Biases: a run of one's own, and Lightning's logger."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from gradvitals.loggers.destination import Destination, MetricsLogger
from gradvitals.vitals import Histogram

STEP = "gradvitals/step"


class WandbRun(Destination):
    """A run of W&B that is the user's own, with an axis of steps of its own.

    W&B drops a row whose ``step`` is below the latest one, so no ``step=`` is given and rows are left open: what the
    user logs next joins them, with or without a ``step``.
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._step: int | None = None  # of the open row
        self._kinds: set[str] = set()  # whose axis is defined

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        self._log(values, step)

    def text(self, tag: str, text: str, step: int) -> None:
        import wandb

        self._log({tag: wandb.Table(columns=["step", "text"], data=[[str(step), text]])}, step)

    def picture(self, tag: str, png: bytes, step: int) -> None:
        import wandb

        self._log({tag: wandb.Image(decoded(png))}, step)

    def histograms(self, histograms: Mapping[str, Histogram], step: int) -> None:
        self._log(as_wandb(histograms), step)

    def _log(self, values: Mapping[str, Any], step: int) -> None:
        for kind in sorted({tag.partition("/")[0] for tag in values} - self._kinds):
            self._run.define_metric(f"{kind}/*", step_metric=STEP)
            self._kinds.add(kind)
        if self._step is not None and step != self._step:
            self._run.log({}, commit=True)  # the row of the earlier step ends
        self._step = step
        self._run.log({**values, STEP: step}, commit=False)


class LightningWandb(MetricsLogger):
    """Lightning's ``WandbLogger``."""

    def text(self, tag: str, text: str, step: int) -> None:
        self.logger.log_text(tag, columns=["step", "text"], data=[[str(step), text]], step=step)

    def picture(self, tag: str, png: bytes, step: int) -> None:
        self.logger.log_image(tag, [decoded(png)], step)

    def histograms(self, histograms: Mapping[str, Histogram], step: int) -> None:
        self.logger.experiment.log(as_wandb(histograms) | {"trainer/global_step": step})


def as_wandb(histograms: Mapping[str, Histogram]) -> dict[str, Any]:
    """Returns histograms as W&B takes them."""
    import wandb

    pairs: dict[str, Any] = {tag: (found.counts, found.edges) for tag, found in histograms.items()}
    return {tag: wandb.Histogram(np_histogram=pair) for tag, pair in pairs.items()}


def decoded(png: bytes) -> Any:
    """Returns a PNG as an image of Pillow."""
    from PIL import Image

    return Image.open(io.BytesIO(png))
