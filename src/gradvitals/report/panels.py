"""Small multiples: the gradient by layer of each configuration, all on one scale.

They are drawn as SVG in the page itself: sixty of them cost nothing, need no JavaScript and flow into as many columns
as the window has room for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradvitals.report.pages.page import Html, note, tag
from gradvitals.results.record import Record

WIDTH, HEIGHT = 240, 130
LEFT, RIGHT, TOP, BOTTOM = 38, 6, 6, 18  # room around a panel's lines
MOMENTS = ("start", "end")
Profile = Sequence[float | None]


@dataclass(frozen=True)
class Scale:
    """Where a layer and a size stand in a panel.

    Attributes:
        layers: how many.
        low, high: powers of ten at the bottom and the top.
    """

    layers: int
    low: int
    high: int

    def x(self, layer: float) -> float:
        """From the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * layer / max(self.layers - 1, 1)

    def y(self, power: float) -> float:
        """From the top."""
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - power) / max(self.high - self.low, 1)


def panels(named: Sequence[tuple[str, Sequence[Record]]]) -> Html:
    """A panel for each name, with a line for each of its runs at the start and another at the end.

    Example:
        >>> "Not measured" in panels([("act=elu", [])])
        True
    """
    profiles = [(name, {moment: [run.gradients(moment) for run in runs] for moment in MOMENTS}) for name, runs in named]
    every = [norms for _, found in profiles for many in found.values() for norms in many]
    scale = scale_of(every)
    if scale is None:
        return note("Not measured in any run (monitor=off).")
    made = (
        tag("figure", tag("figcaption", tag("b", name)), _panel(found, scale, name))
        for name, found in profiles
        if any(norms for many in found.values() for norms in many)
    )
    return tag("div", *made, class_="cells")


def scale_of(profiles: Iterable[Profile]) -> Scale | None:
    """One that all fit on; None where nothing was measured.

    Example:
        >>> scale_of([[1e-3, 0.5], [None, 20.0, 0.0]])
        Scale(layers=3, low=-3, high=2)
    """
    every = list(profiles)
    powers = [math.log10(norm) for norms in every for norm in norms if _drawn(norm)]  # type: ignore[arg-type]
    if not powers:
        return None
    low, high = math.floor(min(powers)), math.ceil(max(powers))
    return Scale(max(map(len, every)), low, max(high, low + 1))


def _drawn(norm: float | None) -> bool:
    return norm is not None and norm > 0 and math.isfinite(norm)


def _panel(found: dict[str, list[list[float | None]]], scale: Scale, name: str) -> Html:
    lines = (_line(norms, scale, moment) for moment, many in found.items() for norms in many)
    return tag("svg", tag("title", name), _axes(scale), *lines, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="panel")


def _axes(scale: Scale) -> Html:
    """A rule for some powers of ten, and the first and last layer below."""
    every = max(math.ceil((scale.high - scale.low) / 4), 1)
    parts = []
    for power in range(scale.high, scale.low - 1, -every):
        y = f"{scale.y(power):.1f}"
        parts.append(f'<path class="rule" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        sup = f'<tspan class="power" dy="-4">{_minus(power)}</tspan>'
        parts.append(f'<text x="{LEFT - 5}" y="{y}" dy="4" text-anchor="end">10{sup}</text>')
    for layer, side in ((0, "start"), (scale.layers - 1, "end")):
        parts.append(f'<text x="{scale.x(layer):.1f}" y="{HEIGHT - 4}" text-anchor="{side}">{layer}</text>')
    return Html("".join(parts))


def _minus(power: int) -> str:
    return str(power).replace("-", "\N{MINUS SIGN}")


def _line(norms: Profile, scale: Scale, moment: str) -> Html:
    """Layers that were measured are joined; a gap starts a new stroke."""
    strokes, pen = [], "M"
    for layer, norm in enumerate(norms):
        if _drawn(norm):
            strokes.append(f"{pen}{scale.x(layer):.1f} {scale.y(math.log10(norm)):.1f}")  # type: ignore[arg-type]
            pen = "L"
        else:
            pen = "M"
    return Html(f'<path class="{moment}" d="{"".join(strokes)}"/>') if strokes else Html()
