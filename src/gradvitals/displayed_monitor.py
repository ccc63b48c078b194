"""The monitor as people see it: in loggers, in the log, in a terminal and in a notebook."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from gradvitals.loggers.custom_scalars import layout
from gradvitals.loggers.publish import publish, publish_histograms, publish_layout, publish_text
from gradvitals.loggers.tags import by_block, tagged
from gradvitals.monitor.announcer import Announcer
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.monitor import Monitor
from gradvitals.monitor.settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradvitals.report.pictures.picture_kinds import Drawn
    from gradvitals.report.tables.vitals_summary import VitalsSummary

log = logging.getLogger(__name__)
DPI = 90  # dots per inch of the picture in a notebook: 720 points wide
NO_MATPLOTLIB = 'pictures need matplotlib, which is not installed: pip install "gradvitals[report]"'
BEFORE, AFTER = "grad_norm/total", "grad_norm_clipped/total"  # tags; of several optimizers, their number follows


class DisplayedMonitor(Monitor):
    """Publishes what a monitor measures and judges, for any training loop; a subclass says when the loop does what.

    Attributes:
        announces: whether process 0 warns of a changed verdict, and says at the end of a fit what it was; the commands
            of this project say it themselves.
        information: the logger of what is no warning.

    Example:
        >>> vitals = DisplayedMonitor(Settings(every_n_steps=10))  # GradientVitals and watch make subclasses of it
        >>> vitals.diagnosis.verdict, vitals.start
        ('undecided', {})
    """

    information: ClassVar[logging.Logger] = log

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._loggers: list[Any] = []
        self._announcer = Announcer(information=self.information)
        self.announces = True

    @property
    def start(self) -> dict[str, float]:
        """The first number of each tag."""
        return tagged(self.first.by_layer, self.first.totals)

    @property
    def end(self) -> dict[str, float]:
        """The latest number of each tag."""
        return tagged(self.latest.by_layer, self.latest.totals)

    def begin(self, loop: TrainingLoop, network: nn.Module) -> None:
        """Begins to watch the ``network`` in a fit whose ``loop`` says when its optimizers step."""
        self._announcer = Announcer(self.diagnosis.verdict, self.information)
        super().begin(loop, network)

    def close(self) -> None:
        """Removes the hooks and lets the loggers go."""
        super().close()
        self._loggers = []

    def publish(self, measurement: Measurement, is_first: bool) -> None:
        """Sends a measurement to the loggers, with a layout of the cards where it ``is_first``.

        Its numbers are those of blocks of layers where there are more layers than ``max_layers``.
        """
        loggers, layers = self._loggers, measurement.layers
        by_layer, most = measurement.labelled, self.settings.max_layers or len(layers)
        shown = by_block(by_layer, layers, most) if len(layers) > most else by_layer
        numbers = tagged(shown, measurement.totals)
        if is_first:
            publish_layout(loggers, layout(numbers))
        publish(loggers, numbers, measurement.step)
        publish_histograms(loggers, measurement.histograms, measurement.step)

    def publish_verdict(self, step: int, is_final: bool) -> None:
        """Sends the verdict of a ``step`` to the loggers; to the log, too, where it is new or ``is_final``."""
        found = self.diagnosis
        if is_final and found.severity is not None:
            publish(self._loggers, {"vitals/severity": found.severity}, step)
        publish_text(self._loggers, "vitals/verdict", str(found), step)
        if self.announces and (self.session is None or self.session.loop.processes.rank == 0):
            self._announcer.end(found, self.stopped_it) if is_final else self._announcer.change(found, step)

    def plot(self, kind: str = "gradients", ax: Axes | None = None) -> Figure:
        """Draws what was measured so far.

        Without ``ax``, a notebook whose cell ends with the call shows the figure once; pyplot does not know it.

        Args:
            kind: ``gradients``: dL/dh of each layer over that of the last one, a line for each measured step.
                ``heatmap``: dL/dh by layer and step. ``time``: dL/dx of the first recurrent layer by time step, all of
                them and their heat maps where there is no ``ax``. ``updates``: the update-to-weight ratio of each layer
                over the steps. ``clipping``: the norm of the gradient of all parameters before and after clipping, and
                their ratio; the norm alone where nothing clips. ``activations``: standard deviation, dead and saturated
                share by layer, at the latest measured step.
            ax: axes to draw into, for a figure of one's own.

        Returns:
            A matplotlib ``Figure``: a new one, or that of ``ax``.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: another kind, or what it shows was not measured.
        """
        if find_spec("matplotlib") is None:
            raise ImportError(NO_MATPLOTLIB)
        from gradvitals.report.pictures.picture_kinds import picture_of

        return picture_of(kind, self._drawn(), ax)

    def to_frame(self, library: str | None = None) -> Any:
        """Returns the numbers of all measured steps as a tidy table, thinned as :attr:`history` is.

        Args:
            library: ``pandas`` or ``polars``; None: pandas where it is installed, else polars.

        Returns:
            A DataFrame with the columns ``step``, ``layer`` (the LAYER of tags, such as ``00.net.0``; missing where a
            number is not of one layer), ``quantity`` (the first part of a tag, such as ``grad_norm``; where a number is
            not of one layer the whole tag, such as ``grad_norm/total``; and ``loss``, the mean since the measured step
            before) and ``value``.

        Raises:
            ImportError: neither library is installed, or not the one that was asked for.
        """
        from gradvitals.report.tables.frame import frame

        rows = [*self.history.rows(), *((step, None, "loss", loss) for step, loss in self.losses.items())]
        rows.sort(key=lambda row: row[0])
        names = ("step", "layer", "quantity", "value")
        return frame({name: [row[place] for row in rows] for place, name in enumerate(names)}, library)

    def __str__(self) -> str:
        from gradvitals.report.tables.vitals_summary import text

        return text(self._summary())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Shows the text in IPython's terminal."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from gradvitals.report.pages.notebook import vitals_card

        has_picture, can_draw = any(map(any, self.profiles.values())), find_spec("matplotlib") is not None
        picture = None
        if has_picture and can_draw:
            from gradvitals.report.pictures.canvas import small_png
            from gradvitals.report.pictures.gradient_by_layer import gradient_by_layer

            picture = small_png(gradient_by_layer(self.profiles, self.losses), DPI)
        return vitals_card(self._summary(), picture, NO_MATPLOTLIB if has_picture and not can_draw else "")

    def _summary(self) -> VitalsSummary:
        from gradvitals.report.tables.vitals_summary import LayerNumbers, VitalsSummary

        def numbers(label: str) -> dict[str, float]:
            return {quantity: found[label] for quantity, found in self.latest.by_layer.items() if label in found}

        layers = [LayerNumbers(layer.index, layer.name, numbers(layer.label)) for layer in self.layers]
        return VitalsSummary(self.diagnosis, layers, self.measured_steps, self.clipped_fraction)

    def _drawn(self) -> Drawn:
        from gradvitals.report.pictures.picture_kinds import Drawn

        names = ("activation_grad_norm", "update_ratio", "activation_std", "dead_fraction", "saturated_fraction")
        by_layer = {name: self.by_layer(name) for name in names}
        before, after = self._totals(BEFORE), self._totals(AFTER)
        through_time = {label: self.through_time.of(label) for label in self.through_time.labels}
        layers = [layer.name for layer in self.layers]
        return Drawn(layers, self.losses, by_layer, before, after, through_time, self.time_factors)

    def _totals(self, name: str) -> dict[str, dict[int, float]]:
        """The optimizer's number, empty where there is one -> measured step -> number."""
        found = [tag for tag in self.first.totals if tag == name or tag.startswith(f"{name}.")]
        return {tag.removeprefix(name).removeprefix("."): self.history.total(tag) for tag in found}
