"""The kinds of pictures of a monitor, drawn into axes of one's own or into a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradvitals.report.pictures.activations_by_layer import draw_activations
from gradvitals.report.pictures.canvas import ShownFigure
from gradvitals.report.pictures.gradient_by_layer import LAYERS, RATIO, draw_lines, gradient_by_layer
from gradvitals.report.pictures.gradient_heatmap import draw_heatmap, gradient_heatmap
from gradvitals.report.pictures.gradient_through_time import OfLayer, draw_time_lines, gradient_through_time
from gradvitals.report.pictures.over_steps import ByStep, Totals, draw_clipping, draw_updates

THROUGH_TIME = "time_grad_norm"
SIZE = (8.0, 4.8)  # inches
PLACE = (0.1, 0.115, 0.79, 0.77)  # of the axes in the figure: left, bottom, width, height


@dataclass(frozen=True)
class Drawn:
    """What there is to draw of a fit.

    Attributes:
        names: of the layers, input side first.
        losses: measured step -> mean loss since the one before.
        by_layer: quantity -> measured step -> numbers by layer.
        through_time: label of a recurrent layer -> measured step -> norms by time step.
        time_factors: label of a recurrent layer -> factor per time step that theory expects.
        before, after: norm of the gradient of all parameters, before and after clipping.
    """

    names: Sequence[str]
    losses: Mapping[int, float] = field(default_factory=dict)
    by_layer: Mapping[str, ByStep] = field(default_factory=dict)
    before: Totals = field(default_factory=dict)
    after: Totals = field(default_factory=dict)
    through_time: Mapping[str, OfLayer] = field(default_factory=dict)
    time_factors: Mapping[str, float] = field(default_factory=dict)

    def has(self, quantity: str) -> bool:
        if quantity == THROUGH_TIME:
            return bool(self.through_time)
        return any(value is not None for row in self.by_layer.get(quantity, {}).values() for value in row)

    def latest(self, quantity: str) -> list[float | None]:
        """Returns the latest number of each layer."""
        found: list[float | None] = [None] * len(self.names)
        for row in self.by_layer.get(quantity, {}).values():
            found = [known if new is None else new for known, new in zip(found, row, strict=True)]
        return found

    @property
    def profiles(self) -> ByStep:
        return self.by_layer["activation_grad_norm"]


def _gradients(axes: Axes, drawn: Drawn) -> None:
    draw_lines(axes, drawn.profiles)
    axes.set(xlabel=LAYERS, ylabel=RATIO)
    axes.legend(frameon=False, fontsize=8)


def _updates(axes: Axes, drawn: Drawn) -> None:
    draw_updates(axes, drawn.by_layer["update_ratio"], drawn.names)


def _clipping(axes: Axes, drawn: Drawn) -> None:
    draw_clipping(axes, drawn.before, drawn.after)


def _activations(axes: Axes, drawn: Drawn) -> None:
    draw_activations(axes, *map(drawn.latest, ("activation_std", "dead_fraction", "saturated_fraction")))


def _through_time(axes: Axes, drawn: Drawn) -> None:
    label = next(iter(drawn.through_time))
    draw_time_lines(axes, drawn.through_time[label], drawn.time_factors.get(label))


@dataclass(frozen=True)
class PictureKind:
    """A kind of picture.

    Attributes:
        title: of its figure.
        needs: a quantity by layer without which there is nothing to draw; empty: none.
        draw: into given axes.
        own: makes a figure that says more than the axes alone; None: the axes are all.
    """

    title: str
    needs: str
    draw: Callable[[Any, Drawn], None]
    own: Callable[[Drawn], Figure] | None = None


KINDS = {
    "gradients": PictureKind(
        "Gradient by layer",
        "activation_grad_norm",
        _gradients,
        lambda drawn: gradient_by_layer(drawn.profiles, drawn.losses),
    ),
    "heatmap": PictureKind(
        "Gradient norm by layer and step",
        "activation_grad_norm",
        lambda axes, drawn: draw_heatmap(axes, drawn.profiles),
        lambda drawn: gradient_heatmap(drawn.profiles),
    ),
    "time": PictureKind(
        "Gradient through time",
        THROUGH_TIME,
        _through_time,
        lambda drawn: gradient_through_time(drawn.through_time, drawn.time_factors),
    ),
    "updates": PictureKind("Update-to-weight ratio by layer", "update_ratio", _updates),
    "clipping": PictureKind("Gradient norm before and after clipping", "", _clipping),
    "activations": PictureKind("Activations by layer, latest measured step", "activation_std", _activations),
}


def picture_of(kind: str, drawn: Drawn, axes: Axes | None = None) -> Figure:
    """Draws a picture of a fit.

    Args:
        kind: one of ``KINDS``.
        axes: where to draw; None: in a figure of its own, which has a title.

    Raises:
        ValueError: another kind; nothing was measured yet; or what this kind shows was not measured.

    Example:
        >>> picture_of("loss", Drawn(["net"]))
        Traceback (most recent call last):
        ...
        ValueError: plot: expected one of gradients, heatmap, time, updates, clipping, activations; got 'loss'
    """
    if kind not in KINDS:
        raise ValueError(f"plot: expected one of {', '.join(KINDS)}; got {kind!r}")
    found = KINDS[kind]
    if not drawn.before and not any(map(drawn.has, drawn.by_layer)):
        raise ValueError("plot: nothing was measured yet; the first training step is measured")
    if found.needs and not drawn.has(found.needs):
        switch = "updates" if kind == "updates" else "activations"
        lacks = "there is no nn.RNN, nn.LSTM or nn.GRU" if kind == "time" else "no layer has one"
        raise ValueError(f"plot({kind!r}): {found.needs} was not measured: {lacks}, or {switch}=False")
    if axes is not None:
        found.draw(axes, drawn)
        return axes.get_figure(root=True)  # type: ignore[return-value]
    if found.own is not None:
        return found.own(drawn)
    figure = ShownFigure(figsize=SIZE)
    found.draw(figure.add_axes(PLACE), drawn)
    figure.text(0.03, 0.94, found.title, fontsize=14, fontweight="bold")
    return figure
