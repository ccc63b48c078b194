"""A figure that a notebook shows: pyplot, which does that otherwise, keeps each figure until somebody closes it."""

from __future__ import annotations

from matplotlib.figure import Figure

from gradvitals.report.pictures.gradient_by_layer import png

DPI = 100  # dots per inch


class ShownFigure(Figure):
    """A figure that needs no pyplot to be seen in a notebook."""

    def _repr_png_(self) -> bytes:
        return png(self, DPI)
