"""What pictures are drawn on: a figure, the look of its axes, and the PNG that it becomes."""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

DPI = 100  # dots per inch


class ShownFigure(Figure):
    """A figure that a notebook shows: pyplot, which does that otherwise, keeps each one until somebody closes it."""

    def _repr_png_(self) -> bytes:
        return png(self, DPI)


def style(axes: Axes, steps: int = 10) -> None:
    """Draws no frame above and to the right, a faint line at each tick of the heights, and ticks of x at integers.

    Args:
        steps: between the ticks of x, at most.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(steps, integer=True, min_n_ticks=1))


def png(figure: Figure, dpi: int = 150) -> bytes:
    """Returns the bytes of a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, pil_kwargs={"compress_level": 3})  # the usual 6 takes thrice the time
    return stream.getvalue()


def small_png(figure: Figure, dpi: int) -> bytes:
    """Returns the bytes of a PNG file of few colors: a third of the size, and bounded where hundreds of lines cross."""
    stream, picture = io.BytesIO(), Image.open(io.BytesIO(png(figure, dpi))).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
    return stream.getvalue()
