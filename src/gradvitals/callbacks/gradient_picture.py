"""The pictures of what the monitor measured: the gradient by layer, and by layer and step."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from gradvitals.callbacks.gradient_vitals import GradientVitals, monitor_of
from gradvitals.callbacks.vitals_content import vitals
from gradvitals.errors import MissingExtra, naming_extras
from gradvitals.loggers.publish import publish_picture
from gradvitals.results.files import write_json

log = logging.getLogger(__name__)

NAME = "gradient_by_layer.png"
BY_LAYER, HEATMAP = "vitals/gradient_by_layer", "vitals/gradient_heatmap"
THROUGH_TIME = "vitals/gradient_through_time"
DPI = 120  # dots per inch; low, because training waits for it
SHARE = 0.02  # of the fit's time that pictures during it may take


class GradientPicture(Callback):
    """Draws the activation gradients by layer, and by layer and step, and logs both to TensorBoard, W&B and MLflow.

    It draws when a fit ends, however it ends, and during it: after the first epoch, and after the 2nd, 4th, 8th ...
    where that takes a negligible share of the training time. The final picture by layer is also saved; without a path,
    with ``vitals.json`` beside it: the verdict and the numbers of each layer. Where there are recurrent layers, the
    gradient by time step is a picture of its own, beside the other: ``gradient_through_time.png``, and
    ``a-through-time.png`` where the other's path is ``a.png``.

    The numbers are those of the :class:`GradientVitals` among the Trainer's callbacks; without one, or before a first
    measured step, nothing is drawn.

    Args:
        path: where to save the PNG; None: ``gradient_by_layer.png`` in the Trainer's ``log_dir``, or else in its
            ``default_root_dir``.
        subtitle: which net or run it is.
        limits: ends of the axis of ratios, so that the pictures of several runs compare; None: what fits.
        enabled: whether to draw at all.

    Example:
        >>> trainer = Trainer(callbacks=[GradientVitals(), GradientPicture()], logger=False, accelerator="cpu")
    """

    def __init__(
        self,
        path: str | Path | None = None,
        subtitle: str | None = None,
        limits: Sequence[float] | None = None,
        enabled: bool = True,
    ) -> None:
        if limits is not None and not (len(limits) == 2 and 0 < limits[0] < limits[1]):
            raise ValueError(f"callbacks.picture.limits: expected [LOW, HIGH], 0 < LOW < HIGH; got {list(limits)}")
        self.path, self.subtitle, self.limits, self.enabled = path, subtitle, limits, enabled
        self._began = self._drawing = 0.0  # seconds
        self._folder = Path()
        self._can_draw = True

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began, self._drawing = time.monotonic(), 0.0
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)  # asked here, where all processes are

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        shows = epoch & (epoch - 1) == 0 and trainer.loggers
        cheap = epoch == 1 or self._drawing < SHARE * (time.monotonic() - self._began)
        if shows and cheap and epoch != trainer.max_epochs:
            self._draw(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw(trainer, last=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._draw(trainer, last=True)

    @rank_zero_only
    def _draw(self, trainer: Trainer, last: bool = False) -> None:
        monitor = monitor_of(trainer)
        if not (self.enabled and self._can_draw) or monitor is None or not monitor.profiles or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        path = Path(self.path) if self.path else self._folder / NAME
        began = time.monotonic()
        try:
            with naming_extras("GradientPicture"):
                self._show(monitor, trainer, path if last else None)
        except MissingExtra as error:
            self._can_draw = False
            log.warning(str(error))
        except Exception as error:  # a picture must not cost the weights or hide the error that ended the fit
            log.warning(f"the picture of the gradients cannot be saved to {path}: {error}")
        self._drawing += time.monotonic() - began

    def _show(self, monitor: GradientVitals, trainer: Trainer, path: Path | None) -> None:
        from gradvitals.report.pictures.canvas import png
        from gradvitals.report.pictures.gradient_by_layer import gradient_by_layer
        from gradvitals.report.pictures.gradient_heatmap import gradient_heatmap

        limits = (self.limits[0], self.limits[1]) if self.limits else None
        drawn = gradient_by_layer(monitor.profiles, monitor.losses, subtitle=self.subtitle, limits=limits)
        picture = png(drawn, DPI)
        over_time = self._through_time(monitor)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
            if over_time is not None:
                path.with_name(name_through_time(path)).write_bytes(over_time)
            if not self.path:
                write_json(path.with_name("vitals.json"), vitals(monitor))
        if trainer.loggers:
            publish_picture(trainer.loggers, BY_LAYER, picture, trainer.global_step)
            heatmap = png(gradient_heatmap(monitor.profiles, subtitle=self.subtitle), DPI)
            publish_picture(trainer.loggers, HEATMAP, heatmap, trainer.global_step)
            if over_time is not None:
                publish_picture(trainer.loggers, THROUGH_TIME, over_time, trainer.global_step)

    def _through_time(self, monitor: GradientVitals) -> bytes | None:
        if not monitor.through_time.values:
            return None
        from gradvitals.report.pictures.canvas import png
        from gradvitals.report.pictures.gradient_through_time import gradient_through_time

        layers = {label: monitor.through_time.of(label) for label in monitor.through_time.labels}
        return png(gradient_through_time(layers, monitor.time_factors, subtitle=self.subtitle), DPI)


def name_through_time(path: Path) -> str:
    """Returns the name of the picture by time step, which is written beside the one by layer.

    Example:
        >>> name_through_time(Path("runs/gradient_by_layer.png")), name_through_time(Path("a.png"))
        ('gradient_through_time.png', 'a-through-time.png')
    """
    stem = path.stem.replace("by_layer", "through_time")
    return f"{stem}.png" if stem != path.stem else f"{stem}-through-time.png"
