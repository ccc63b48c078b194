"""The picture of what the monitor measured: gradient size versus layer index."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from gradvitals.callbacks.gradient_vitals import GradientVitals
from gradvitals.callbacks.publish import publish_picture

log = logging.getLogger(__name__)

NAME, TAG = "gradient_by_layer.png", "vitals/gradient_by_layer"


class GradientPicture(Callback):
    """Draws the activation gradients by layer when a fit ends, however it ends, and saves and publishes the picture.

    The numbers are those of the :class:`GradientVitals` among the Trainer's callbacks; without one, or before a first
    measured step, nothing is drawn.

    Args:
        path: where to save the PNG; None: ``gradient_by_layer.png`` in the Trainer's ``default_root_dir``.
        subtitle: which net or run it is.
        limits: ends of the axis of sizes, so that the pictures of several runs compare; None: what fits.

    Example:
        >>> trainer = Trainer(callbacks=[GradientVitals(), GradientPicture()], logger=False, accelerator="cpu")
    """

    def __init__(
        self, path: str | Path | None = None, subtitle: str | None = None, limits: Sequence[float] | None = None
    ) -> None:
        if limits is not None and not (len(limits) == 2 and 0 < limits[0] < limits[1]):
            raise ValueError(f"callbacks.picture.limits: expected [LOW, HIGH], 0 < LOW < HIGH; got {list(limits)}")
        self.path, self.subtitle, self.limits = path, subtitle, limits

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._draw(trainer)

    @rank_zero_only
    def _draw(self, trainer: Trainer) -> None:
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        monitor = next((callback for callback in callbacks if isinstance(callback, GradientVitals)), None)
        if monitor is None or not monitor.profiles or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        path = Path(self.path) if self.path else Path(trainer.default_root_dir) / NAME
        try:
            self._save(monitor, path, trainer)
        except Exception as error:  # the weights, or the error that ended the fit, are worth more than their picture
            log.warning(f"the picture of the gradients cannot be saved to {path}: {error}")

    def _save(self, monitor: GradientVitals, path: Path, trainer: Trainer) -> None:
        from gradvitals.report.gradient_by_layer import gradient_by_layer, png

        limits = (self.limits[0], self.limits[1]) if self.limits else None
        picture = png(gradient_by_layer(monitor.profiles, subtitle=self.subtitle, limits=limits))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
        publish_picture(trainer.loggers, TAG, picture, trainer.global_step)
