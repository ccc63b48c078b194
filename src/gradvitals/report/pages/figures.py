"""Numbers in, figures of lines and points out: plain dicts as Plotly draws them, without Plotly's own slow objects.

Colors are roles, which ``assets/page.js`` paints. Where lines are few, dash and marker distinguish them as well.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradvitals.diagnosis.profile import DECADES, relative
from gradvitals.report.pages.page import Drawing
from gradvitals.report.steps import evenly, spaced
from gradvitals.results.curves import ByLayer, Point, thin

Trace = dict[str, Any]

PALETTE = 6
DASHES = ("solid", "dash", "dot", "dashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
MARKED = 40  # points up to which a line has a marker at each
MOST_POINTS = 400  # of a curve
FEW_INTEGERS = 9  # on an axis on which each has a tick
MOST_DOTS = 200  # of one name
FEW_STEPS = 8  # lines of one figure
LEGEND = 20  # characters of a run's name in a legend
LAYER_AXIS = "layer (0 is next to the input)"
RATIO_AXIS = "‖dL/dh‖ / that of the last layer"
HOW_TO_READ = (
    "Each line is relative to the last layer's gradient. A level line is good. A gradient that falls toward the input "
    "vanishes; one that rises explodes."
)
SHARES = ("share", "accuracy")
SIDE_LEGEND = {"font": {"size": 11}, "x": 1.01, "y": 1, "itemwidth": 30}


@dataclass(frozen=True)
class Line:
    """A line of a figure.

    Attributes:
        name: shown when the pointer is over it.
        points: x and value; one that is not finite leaves a gap.
        color: index of its color, and of its marker.
        run: the run that it belongs to, by which the page may hide it; None: none.
        label: in the legend; empty: the name.
    """

    name: str
    points: Sequence[Point]
    color: int = 0
    dash: int = 0
    run: int | None = None
    label: str = ""


def number(value: float | None) -> float | None:
    """Returns as many digits as a screen shows; None for what is not finite.

    Example:
        >>> number(0.123456789), number(float("inf"))
        (0.12346, None)
    """
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def text(words: object) -> str:
    """Returns words as Plotly shows them, which reads tags in a text."""
    return html.escape(str(words), quote=False)


def template(words: object) -> str:
    """Returns words inside one of Plotly's templates, which reads ``%{...}`` in it.

    Example:
        >>> template("a<b %{x}")
        'a&lt;b %&#123;x}'
    """
    return text(words).replace("{", "&#123;")


def drawing(data: Sequence[Trace], x: Mapping[str, Any], y: Mapping[str, Any], **layout: Any) -> Drawing:
    """Returns a figure with the axes that all figures of a page share.

    Args:
        x, y: options of the axes; ``title`` is a string.
        layout: more options of Plotly's layout.
    """
    base = {
        "height": 310,
        "margin": {"l": 64, "r": 14, "t": 12, "b": 48},
        "font": {"size": 12},
        "hovermode": "closest",
        "showlegend": len(data) > 1,
        "legend": {"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0},
        "xaxis": _axis(x),
        "yaxis": _axis(y),
        "uirevision": "kept",  # zoom and hidden lines survive a change of theme
    }
    return {"data": list(data), "layout": base | layout}


def _axis(options: Mapping[str, Any]) -> dict[str, Any]:
    title = {"text": text(options.get("title", "")), "standoff": 8}
    looks: dict[str, Any] = {"zeroline": False, "automargin": True, "ticks": "outside", "ticklen": 4}
    if options.get("type") == "log":
        looks |= {"exponentformat": "power", "minorloglabels": "none"}
    return looks | dict(options) | {"title": title}


def layer_axis(count: int) -> dict[str, Any]:
    """Returns an axis of so many layers; where there are few, each has a tick and there is none between them."""
    return {"title": LAYER_AXIS} | integer_ticks([0, count])


def value_axis(what: str, log: bool = False) -> dict[str, Any]:
    """Returns an axis of values; one of shares is from 0 to 1, so that figures compare and nothing is exaggerated."""
    if what.startswith(SHARES):
        return {"title": what, "range": [-0.03, 1.03]}
    return {"title": what} | ({"type": "log"} if log else {})


def scatter(name: str, x: Sequence[Any], y: Sequence[float | None], hover: str, **looks: Any) -> Trace:
    """Returns a line, with a marker at each point where there are few; ``looks`` are more options of Plotly's."""
    base = {
        "type": "scatter",
        "mode": "lines+markers" if len(y) <= MARKED else "lines",
        "name": text(name),
        "x": list(x),
        "y": [number(value) for value in y],
        "hovertemplate": f"{hover}<extra></extra>",
    }
    return base | looks


def _trace(line: Line, x: str) -> Trace:
    points = thin(line.points, MOST_POINTS)
    return scatter(
        line.label or line.name,
        [place for place, _ in points],
        [value for _, value in points],
        f"{template(line.name)}<br>{x} %{{x}}: %{{y:.4g}}",
        line={"width": 1.8, "dash": DASHES[line.dash % len(DASHES)]},
        marker={"size": 6, "symbol": MARKERS[line.color % len(MARKERS)]},
        meta={"color": line.color % PALETTE} | ({} if line.run is None else {"run": line.run}),
    )


def curves(lines: Iterable[Line], y: str, *, log: bool = False, **layout: Any) -> Drawing:
    """Returns a figure of values over steps.

    Example:
        >>> made = curves([Line("train", [(0, 2.5), (10, 1.5)])], "loss")
        >>> made["data"][0]["x"], made["data"][0]["y"]
        ([0, 10], [2.5, 1.5])
    """
    traces = [_trace(line, "step") for line in lines]
    steps = {"title": "step", "rangemode": "tozero"} | integer_ticks([0, *(x for each in traces for x in each["x"])])
    return drawing(traces, steps, value_axis(y, log), **layout)


def run_curves(runs: Sequence[tuple[str, Sequence[Point]]], y: str, most: int = MOST_POINTS) -> Drawing:
    """Returns a figure of one metric of several runs over steps, a line for each, in the order of their ranks."""
    lines = _run_lines([(name, thin(points, most)) for name, points in runs])
    return curves([line for line in lines if line.points], y, height=360, legend=SIDE_LEGEND)


def run_profiles(runs: Sequence[tuple[str, Sequence[float | None]]]) -> Drawing:
    """Returns a figure of the gradient by layer of several runs over that of the last layer, in the order of ranks."""
    shapes = [(name, relative(norms)) for name, norms in runs]
    lines = _run_lines([(name, [(i, ratio or math.nan) for i, ratio in enumerate(ratios)]) for name, ratios in shapes])
    traces = [_trace(line, "layer") for line in lines]
    deepest = max((len(norms) for _, norms in runs), default=0)
    axis = ratio_axis(ratio for _, ratios in shapes for ratio in ratios)
    return drawing(traces, layer_axis(deepest), axis, height=380, legend=SIDE_LEGEND)


def _run_lines(runs: Sequence[tuple[str, Sequence[Point]]]) -> list[Line]:
    short = all(len(name) <= LEGEND for name, _ in runs)
    return [
        Line(name, points, i, i // PALETTE, i, label=name if short else f"#{i + 1}")
        for i, (name, points) in enumerate(runs)
    ]


def ratio_axis(ratios: Iterable[float | None]) -> dict[str, Any]:
    """Returns a logarithmic axis of gradients over that of the last layer, around all that count as even.

    Example:
        >>> ratio_axis([1e-6, None, 1.0])["range"]
        [-6.2, 2.2]
    """
    powers = [math.log10(ratio) for ratio in ratios if ratio and math.isfinite(ratio)]
    low, high = min([-DECADES, *powers]) - 0.2, max([DECADES, *powers]) + 0.2
    return value_axis(RATIO_AXIS, True) | {"range": [number(low), number(high)]}


def gradient_lines(found: ByLayer, predicted: Sequence[float | None] = ()) -> Drawing:
    """Returns a figure of the gradient by layer over that of the last layer, a line for each of some steps.

    Args:
        found: norms of dL/dh.
        predicted: what theory expects at the first step, as ratios.

    Example:
        >>> made = gradient_lines(ByLayer(["0.a", "1.b"], [0, 50], [[1.0, 2.0], [0.01, 0.02]]))
        >>> [trace["y"] for trace in made["data"]]
        [[0.5, 1.0], [0.5, 1.0]]
    """
    shapes = ByLayer(found.layers, found.steps, [relative(norms) for norms in found.values])
    made = by_layer_lines(shapes, RATIO_AXIS, predicted=predicted)
    shown = [ratio for ratios in shapes.values for ratio in ratios]
    made["layout"]["yaxis"] |= {"range": ratio_axis([*shown, *predicted])["range"]}
    return made


def by_layer_lines(found: ByLayer, y: str, *, log: bool = True, predicted: Sequence[float | None] = ()) -> Drawing:
    """Returns a figure with a line over the layers for each of some steps; what is not measured leaves a gap.

    Args:
        predicted: what theory expects at the first step.

    Example:
        >>> made = by_layer_lines(ByLayer(["0.a", "1.b"], [0, 50], [[1e-3, 1.0], [None, 1.0]]), "norm")
        >>> [trace["y"] for trace in made["data"]]
        [[0.001, 1.0], [None, 1.0]]
    """
    steps = spaced(found.steps, FEW_STEPS)
    traces = [_profile(found, step, i / max(len(steps) - 1, 1), log) for i, step in enumerate(steps)]
    x = positions(found.layers)
    if any(value is not None for value in predicted):
        looks = {"mode": "lines", "line": {"width": 1.6, "dash": "dot"}, "meta": {"color": 6}}
        traces.append(scatter("theory, 0", x, predicted, "predicted by theory: %{y:.3g}", **looks))
    return drawing(traces, layer_axis(len(x)), value_axis(y, log), legend={"title": {"text": "step"}} | SIDE_LEGEND)


def _profile(found: ByLayer, step: int, shade: float, log: bool) -> Trace:
    values = found.values[found.steps.index(step)]
    ends = shade in (0, 1)
    return scatter(
        str(step),
        positions(found.layers),
        [value if value or not log else None for value in values],
        f"%{{text}}<br>step {step}: %{{y:.3g}}",
        text=[text(label) for label in found.layers],
        line={"width": 2.2 if ends else 1.2},
        marker={"size": 6 if ends else 4, "symbol": "circle" if shade < 1 else "square"},
        meta={"shade": round(shade, 3)},
    )


def positions(layers: Sequence[str]) -> list[int] | list[str]:
    """Returns the places of layers on an axis: their index, or the first and last index of a block of them.

    Example:
        >>> positions(["00.net.a", "01.net.b"]), positions(["00-07.a", "08-15.b"])
        ([0, 1], ['0-7', '8-15'])
    """
    heads = [label.partition(".")[0] for label in layers]
    if all(head.isdecimal() for head in heads):
        return [int(head) for head in heads]
    return ["-".join(str(int(part)) for part in head.split("-") if part.isdecimal()) for head in heads]


def dots(values: Sequence[tuple[str, float | None, Sequence[float]]], x: str, limits: Sequence[float]) -> Drawing:
    """Returns a figure with the numbers of each name as circles and their mean as a diamond, one name below the other.

    Args:
        values: name, mean and numbers.
        limits: ends of their axis, so that figures compare.

    Example:
        >>> made = dots([("act=elu", 0.85, [0.8, 0.9]), ("act=relu", None, [])], "val/acc", (0.7, 1.0))
        >>> [(trace["x"], trace["y"]) for trace in made["data"]]
        [([0.8, 0.9], ['act=elu', 'act=elu']), ([0.85, None], ['act=elu', 'act=relu'])]
    """
    shown = [(name, sorted(numbers)) for name, _, numbers in values]
    kept = [(text(name), numbers[i]) for name, numbers in shown for i in evenly(len(numbers), MOST_DOTS)]
    each = _dots("a run", kept, {"size": 7, "symbol": "circle-open"}, 0)
    mean = _dots("mean", [(text(name), mean) for name, mean, _ in values], {"size": 11, "symbol": "diamond"}, 1)
    rows = {"title": "", "type": "category", "autorange": "reversed"}
    return drawing(
        [each, mean], {"title": x, "range": list(limits)}, rows, height=30 * len(values) + 78, showlegend=False
    )


def _dots(name: str, points: Sequence[tuple[str, float | None]], marker: dict[str, Any], color: int) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [number(value) for _, value in points],
        "y": [label for label, _ in points],
        "marker": marker,
        "meta": {"color": color},
        "hovertemplate": f"%{{y}}, {name}: %{{x:.4g}}<extra></extra>",
    }


def integer_ticks(values: Iterable[Any]) -> dict[str, Any]:
    """Returns an option of an axis of integers: where there are few, no tick is between them.

    Example:
        >>> integer_ticks([0, 3]), integer_ticks([0, 1000]), integer_ticks([0, 0.5])
        ({'dtick': 1}, {}, {})
    """
    known = [value for value in values if value is not None]
    if not all(isinstance(each, (int, float)) and math.isfinite(each) and each == round(each) for each in known):
        return {}
    return {"dtick": 1} if known and max(known) - min(known) <= FEW_INTEGERS else {}
