"""The picture of a cure: gradients and validation curves before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradvitals.formatting import visible
from gradvitals.report.pictures.canvas import png, style
from gradvitals.report.pictures.gradient_by_layer import (
    LAYERS,
    LONGEST,
    RATIO,
    draw_lines,
    drawn,
    same_limits,
    shortened,
)
from gradvitals.report.profile_title import Profiles, title
from gradvitals.report.steps import spaced
from gradvitals.results.curves import Curves, Point

BEFORE, AFTER = "#D55E00", "#0072B2"  # vermilion and blue, distinct with any color vision (Okabe & Ito, 2008)
SHOWN = 5  # steps of a training, so that a legend can name each


class Side(NamedTuple):
    """A training before or after the cure.

    Attributes:
        profiles: step -> norms of dL/dh by layer, input side first.
        curves: validation tag -> points of step and value.
    """

    profiles: Profiles
    curves: Curves


def picture(before: Side, after: Side, titles: tuple[str, str]) -> bytes:
    """Returns a PNG: by their titles, the gradient by layer of both, on one scale; below, their validation curves.

    Example:
        >>> side = Side({0: [0.1, 0.2]}, {"val/loss": [(10, 0.5)]})
        >>> picture(side, side, ("act=relu", "act=elu"))[:4]
        b'\\x89PNG'
    """
    figure = Figure(figsize=(11, 8))
    tops = [figure.add_axes((left, 0.52, 0.4, 0.34)) for left in (0.08, 0.57)]
    for axes, side, name, words in zip(tops, (before, after), ("before", "after"), titles, strict=True):
        _gradients(axes, side.profiles, name, words)
    same_limits(tops)
    tags = list({**before.curves, **after.curves})
    for tag, left in zip(tags, (0.08, 0.57), strict=False):
        _curves(figure.add_axes((left, 0.08, 0.4, 0.33)), tag, before.curves.get(tag), after.curves.get(tag))
    return png(figure)


def _gradients(axes: Axes, profiles: Profiles, name: str, words: str) -> None:
    if profiles:
        draw_lines(axes, {step: profiles[step] for step in spaced(sorted(profiles), SHOWN)})
        axes.legend(frameon=False, fontsize="small")
        if not drawn(axes):
            axes.text(0.5, 0.5, "no layer received a finite gradient", transform=axes.transAxes, ha="center")
    shape, sentence = title(profiles) if profiles else ("", "not measured")
    left, _, _, _ = axes.get_position().bounds
    write = axes.figure.text
    write(left, 0.95, f"{name}: profile {shape}" if shape else name, fontsize=14, fontweight="bold")
    write(left, 0.925, sentence, fontsize=8.5)
    write(left, 0.895, shortened(words, LONGEST - 20), fontsize=8.5, color="0.4", parse_math=False)
    axes.set(xlabel=LAYERS, ylabel=RATIO)


def _curves(axes: Axes, tag: str, before: Sequence[Point] | None, after: Sequence[Point] | None) -> None:
    looks = (("before", before, BEFORE, "s", "--"), ("after", after, AFTER, "o", "-"))
    for name, points, color, marker, line in looks:
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=color, marker=marker, markersize=4, linestyle=line, linewidth=1.8, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel(visible(tag), parse_math=False)
    axes.set_title(visible(tag), loc="left", fontsize=11, fontweight="bold", parse_math=False)
    style(axes)
    axes.legend(frameon=False, fontsize="small")
