"""A colour bar as a picture of its own: matplotlib's takes three times as long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase


def colour_bar(
    figure: FigureBase,
    place: tuple[float, float, float, float],
    colours: Any,
    ends: tuple[float, float],
    scale: tuple[float, float] | None = None,
) -> Axes:
    """A bar beside what it explains.

    Args:
        figure: on which it stands.
        place: left, bottom, width and height, as shares of the figure's.
        colours: the colour map.
        ends: lowest and highest value that it shows.
        scale: values of the map's first and last colour; None: the ends.

    Example:
        >>> from matplotlib import colormaps
        >>> from matplotlib.figure import Figure
        >>> bar = colour_bar(Figure(), (0.9, 0.1, 0.02, 0.8), colormaps["viridis"], (0, 80))
        >>> low, high = bar.get_ylim()
        >>> print(low, high)
        0.0 80.0
    """
    low, high = scale or ends
    axes = figure.add_axes(place)
    axes.imshow(_column(*ends), cmap=colours, vmin=low, vmax=high, extent=(0, 1, *ends), aspect="auto", origin="lower")
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    return axes


def _column(low: float, high: float, cells: int = 128) -> Sequence[list[float]]:
    return [[low + (high - low) * (cell + 0.5) / cells] for cell in range(cells)]
