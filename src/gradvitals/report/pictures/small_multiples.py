"""One small picture for each configuration of a sweep: gradient size versus layer index, first step and last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradvitals.formatting import visible
from gradvitals.report.pictures.gradient_by_layer import png
from gradvitals.results.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

START, END = "#0072B2", "#D55E00"  # blue and vermilion: told apart by every kind of sight (Okabe & Ito, 2008)
MOMENTS = {"start": (START, "-"), "end": (END, "--")}
MOST = 120  # panels
WIDTH = 4  # panels in a row
Profile = list[float | None]


def small_multiples(panels: Sequence[tuple[str, Sequence[Record]]]) -> bytes:
    """A PNG with a panel for each configuration, all on one scale, in the order given.

    Args:
        panels: name and runs; one line for each run and moment.

    Example:
        >>> small_multiples([("act=elu", [])])[:4]
        b'\\x89PNG'
    """
    from matplotlib.figure import Figure

    shown = list(panels[:MOST])
    columns = min(WIDTH, len(shown)) or 1
    rows = math.ceil(len(shown) / columns) or 1
    figure = Figure(figsize=(2.4 * columns + 0.8, 1.75 * rows + 0.9))
    width, height = figure.get_size_inches()
    for place, (name, runs) in enumerate(shown):
        row, column = divmod(place, columns)
        left, top = 0.65 + 2.4 * column, height - 0.75 - 1.75 * row
        axes = figure.add_axes((left / width, (top - 1.3) / height, 2.1 / width, 1.2 / height))
        _panel(axes, name, runs)
    _same_limits(figure.axes, [run.gradients(moment) for _, runs in shown for run in runs for moment in MOMENTS])
    for place, axes in enumerate(figure.axes):
        axes.tick_params(labelleft=place % columns == 0, labelsize=7)
    _headline(figure, len(panels) - len(shown))
    return png(figure, dpi=110)


def _panel(axes: Axes, name: str, runs: Sequence[Record]) -> None:
    measured = False
    for run in runs:
        for moment, (colour, line) in MOMENTS.items():
            norms = [norm if norm else math.nan for norm in run.gradients(moment)]
            measured |= any(map(math.isfinite, norms))
            axes.plot(range(len(norms)), norms, color=colour, linestyle=line, linewidth=1.2)
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.set_title(_two_lines(visible(name)), fontsize=7, loc="left", pad=3, parse_math=False)
    if not measured:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", fontsize=7, color="0.4")


def _two_lines(name: str, width: int = 34) -> str:
    """The words in two lines at most."""
    rest, first = name.split(" "), list[str]()
    while rest and len(" ".join([*first, rest[0]])) <= width:
        first.append(rest.pop(0))
    second = " ".join(rest)
    both = [" ".join(first), second if len(second) <= width else second[: width - 1] + "…"]
    return "\n".join(line for line in both if line)


def _same_limits(many: Sequence[Axes], profiles: Sequence[Profile]) -> None:
    sizes = [norm for profile in profiles for norm in profile if norm]
    depth = max([1, *map(len, profiles)])
    for axes in many:
        axes.set_xlim(-0.5, depth - 0.5)
        if sizes:
            axes.set_ylim(min(sizes) / 2, max(sizes) * 2)


def _headline(figure: Figure, left_out: int) -> None:
    height = figure.get_size_inches()[1]
    more = f"; the first {MOST}, {left_out} more are left out" if left_out else ""
    words = "L2 norm of dL/dh by layer (0 is next to the input), best configuration first" + more
    figure.text(0.01, 1 - 0.2 / height, words, fontsize=9, va="center")
    figure.text(0.01, 1 - 0.4 / height, "solid blue: first step", fontsize=8, color=START, va="center")
    figure.text(0.2, 1 - 0.4 / height, "dashed vermilion: last measured", fontsize=8, color=END, va="center")
