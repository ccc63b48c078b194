"""Lines over the steps: the update-to-weight ratio of each layer, and the gradient norm before and after clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes

from gradvitals.report.pictures.canvas import style
from gradvitals.report.pictures.gradient_by_layer import drawn, heights
from gradvitals.report.pictures.log_ticks import log_heights
from gradvitals.report.tables.columns import name_end

ByStep = Mapping[int, Sequence[float | None]]  # step -> numbers by layer, input side first
Totals = Mapping[str, Mapping[int, float]]  # optimizer's number, empty where there is one -> step -> number
NAME = 32  # characters of a layer's name
FEW = 10  # layers up to which a legend names each
USUAL = 1e-3  # an update-to-weight ratio that trains well
BEFORE, AFTER, COEFFICIENT = "#D55E00", "#0072B2", "#009E73"  # distinct with any color vision (Okabe & Ito, 2008)
STYLES = ("-", "--", ":", "-.")  # of several optimizers


def draw_updates(axes: Axes, ratios: ByStep, names: Sequence[str]) -> None:
    """Draws the update-to-weight ratio of each layer over the steps, layers next to the input dark.

    Args:
        ratios: measured step -> ratios by layer.
        names: of the layers; a legend has the first, the middle and the last of many.
    """
    steps = sorted(ratios)
    span = max(len(names) - 1, 1) * 1.12  # the palest end of the map cannot be seen on white
    places = range(len(names))
    named = set(places if len(names) <= FEW else (0, len(names) // 2, len(names) - 1))
    marker, width = "." if len(steps) == 1 else None, 1.2 if len(names) <= FEW else 0.8
    for place, name in enumerate(names):
        line = heights([ratios[step][place] for step in steps])
        label = f"{place} {name_end(name, NAME)}" if place in named else "_"
        axes.plot(steps, line, label=label, color=colormaps["viridis"](place / span), marker=marker, linewidth=width)
    axes.axhline(USUAL, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    remark: dict[str, Any] = {"ha": "right", "fontsize": 8, "color": "0.45"}
    axes.annotate("1e-3, usual", (0.99, USUAL), (0, 2), ("axes fraction", "data"), "offset points", **remark)
    _style(axes, "update-to-weight ratio (L2 norms)")
    _legend(axes)


def draw_clipping(axes: Axes, before: Totals, after: Totals) -> None:
    """Draws the norm of the gradient of all parameters before and after clipping, and their ratio, over the steps.

    Args:
        before: norms before clipping.
        after: norms after clipping; empty where nothing clips.
    """
    clips = any(after.values())
    for place, (optimizer, norms) in enumerate(before.items()):
        of = f", optimizer {optimizer}" if optimizer else ""
        style = STYLES[place % len(STYLES)]
        name = "before clipping" if clips else "not clipped in this fit"
        _line(axes, norms, color=BEFORE, linestyle=style, label=f"{name}{of}", linewidth=2.6)  # seen under the other
        if clipped := after.get(optimizer):
            _line(axes, clipped, color=AFTER, linestyle=style, label=f"after clipping{of}", linewidth=1.3)
    _style(axes, "L2 norm of the gradient of all parameters")
    if clips:
        _draw_coefficients(axes, before, after)
    _legend(axes)


def _draw_coefficients(axes: Axes, before: Totals, after: Totals) -> None:
    right = axes.twinx()
    for place, (optimizer, clipped) in enumerate(after.items()):
        norms = before[optimizer]
        known = {s: value / norms[s] for s, value in clipped.items() if 0 < norms.get(s, 0) < math.inf}
        look: dict[str, Any] = {"linestyle": STYLES[place % len(STYLES)], "linewidth": 0.9, "alpha": 0.8}
        right.plot(list(known), list(known.values()), color=COEFFICIENT, **look)
    right.set_ylim(0, 1.05)
    right.set_ylabel("clip coefficient: after over before", color=COEFFICIENT)
    right.tick_params(axis="y", colors=COEFFICIENT)
    right.spines[["top", "left"]].set_visible(False)


def _line(axes: Axes, norms: Mapping[int, float], **looks: Any) -> None:
    marker = "." if len(norms) == 1 else None
    axes.plot(list(norms), heights(list(norms.values())), marker=marker, **looks)


def _style(axes: Axes, label: str) -> None:
    log_heights(axes, heights(drawn(axes)), 1.3)
    axes.set(xlabel="step", ylabel=label)
    style(axes)


def _legend(axes: Axes) -> None:
    """Inside the axes, because above them is the place of their title."""
    for text in axes.legend(framealpha=0.7, edgecolor="none", fontsize=8, loc="best").get_texts():
        text.set_parse_math(False)
