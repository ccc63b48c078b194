"""One small picture for each configuration of a sweep: the gradient by layer at the first and the last step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradvitals.diagnosis.profile import last_norm
from gradvitals.formatting import number, visible
from gradvitals.report.pictures.canvas import png, style
from gradvitals.report.pictures.gradient_by_layer import draw_line, drawn, same_limits, shortened
from gradvitals.results.record import Record

BLUE, VERMILION = "#0072B2", "#D55E00"  # distinct with any color vision (Okabe & Ito, 2008)
LOOKS: dict[str, dict[str, Any]] = {
    "start": {"color": BLUE, "linestyle": "-"},
    "end": {"color": VERMILION, "linestyle": "--"},
}
ARROW = " \N{RIGHTWARDS ARROW} "
MOST = 120  # panels
COLUMNS = 4
LETTERS = 34  # of a title's line


def small_multiples(panels: Sequence[tuple[str, Sequence[Record]]]) -> bytes:
    """Returns a PNG with a panel for each configuration, all on one scale, in the order given.

    Args:
        panels: name and runs of each configuration; a run has a line for the first and one for the last measured step,
            both relative to the gradient of its last layer, whose median over the runs is written into the panel.

    Example:
        >>> small_multiples([("act=elu", [])])[:4]
        b'\\x89PNG'
    """
    shown = list(panels[:MOST])
    columns = min(COLUMNS, len(shown)) or 1
    rows = math.ceil(len(shown) / columns) or 1
    figure = Figure(figsize=(max(2.4 * columns + 0.8, 5.6), 1.75 * rows + 0.9))
    deepest = max([1, *(len(run.gradients("start")) for _, runs in shown for run in runs)])
    width, height = figure.get_size_inches()
    for place, (name, runs) in enumerate(shown):
        row, column = divmod(place, columns)
        left, top = 0.65 + 2.4 * column, height - 0.75 - 1.75 * row
        axes = figure.add_axes((left / width, (top - 1.3) / height, 2.1 / width, 1.2 / height))
        _panel(axes, name, runs)
        axes.tick_params(labelleft=column == 0, labelsize=7)
        axes.set_xlim(-0.5, deepest - 0.5)
    same_limits(figure.axes)
    _headline(figure, len(panels) - len(shown))
    return png(figure, dpi=110)


def _panel(axes: Axes, name: str, runs: Sequence[Record]) -> None:
    for run in runs:
        for which, looks in LOOKS.items():
            draw_line(axes, run.gradients(which), linewidth=1.2, **looks)
    axes.set_yscale("log")
    axes.minorticks_off()
    style(axes, 5)
    axes.set_title(_two_lines(visible(name)), fontsize=7, loc="left", pad=3, parse_math=False)
    if sizes := [number(size, 2) for which in LOOKS if (size := _size(runs, which)) is not None]:
        axes.text(0.98, 0.04, f"last layer {ARROW.join(sizes)}", transform=axes.transAxes, ha="right", fontsize=6.5)
    if not drawn(axes):
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", fontsize=7, color="0.4")


def _size(runs: Sequence[Record], which: str) -> float | None:
    known = [size for run in runs if math.isfinite(size := last_norm(run.gradients(which)))]
    return median(known) if known else None


def _two_lines(name: str) -> str:
    rest, first = name.split(" "), list[str]()
    while rest and len(" ".join([*first, rest[0]])) <= LETTERS:
        first.append(rest.pop(0))
    return "\n".join(line for line in (" ".join(first), shortened(" ".join(rest), LETTERS)) if line)


def _headline(figure: Figure, left_out: int) -> None:
    height = figure.get_size_inches()[1]
    more = f"; the first {MOST}, {left_out} more are left out" if left_out else ""
    words = f"dL/dh by layer (0 is next to the input) over the last layer's, best configuration first{more}"
    figure.text(0.01, 1 - 0.2 / height, words, fontsize=9, va="center")
    figure.text(0.01, 1 - 0.4 / height, "solid blue: first step", fontsize=8, color=BLUE, va="center")
    figure.text(0.3, 1 - 0.4 / height, "dashed vermilion: last measured step", fontsize=8, color=VERMILION, va="center")
