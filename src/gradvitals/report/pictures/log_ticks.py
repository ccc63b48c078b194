"""Ticks of a logarithmic axis: few, with short labels.

Matplotlib's own, up to ninety minor ones and labels typeset as formulas, take most of a picture's time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import Formatter, Locator, NullLocator

MOST = 9  # ticks
TIMES = "\N{MULTIPLICATION SIGN}"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def ticks(low: float, high: float) -> list[float]:
    """Returns powers of ten between two values; where there are hardly any, twice and five times those too.

    Example:
        >>> ticks(1e-20, 1.0)
        [1e-18, 1e-15, 1e-12, 1e-09, 1e-06, 0.001, 1.0]
        >>> ticks(0.015, 0.3)
        [0.02, 0.05, 0.1, 0.2]
    """
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if last - first >= 2:
        stride = math.ceil((last - first + 1) / MOST)
        return [float(f"1e{power}") for power in range(first, last + 1) if power % stride == 0]
    found = [float(f"{digit}e{power}") for power in range(first - 1, last + 1) for digit in (1, 2, 5)]
    return [tick for tick in found if low <= tick <= high]


def labels(values: Sequence[float]) -> list[str]:
    """Returns plain numbers where all of them are short, else powers of ten for all.

    Example:
        >>> labels([0.01, 0.02]), labels([2e-12, 1e-11])
        (['0.01', '0.02'], ['2×10⁻¹²', '10⁻¹¹'])
    """
    if all(1e-3 <= value <= 1e3 for value in values):
        return [f"{value:g}" for value in values]
    parts = (f"{value:.0e}".split("e") for value in values)
    powers = ((digit, "10" + str(int(power)).translate(SUPERSCRIPT)) for digit, power in parts)
    return [power if digit == "1" else f"{digit}{TIMES}{power}" for digit, power in powers]


class Decades(Locator):
    """Places the ticks; an axis spans at least one decade, so that a small change does not look large."""

    def __call__(self) -> list[float]:
        return self.tick_values(*self.axis.get_view_interval())  # type: ignore[union-attr]

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        return ticks(vmin, vmax)

    def nonsingular(self, v0: float, v1: float) -> tuple[float, float]:
        return span(v0, v1, 1)


class Plain(Formatter):
    """Labels the ticks."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return labels([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        return labels(values)


def span(low: float, high: float, decades: float) -> tuple[float, float]:
    """Returns the ends of an axis that spans at least so many decades around what it shows.

    Example:
        >>> span(1.0, 1.0, 2)
        (0.1, 10.0)
        >>> span(1e-6, 1.0, 2)
        (1e-06, 1.0)
    """
    if not 0 < low <= high < math.inf:
        low = high = 1.0
    missing = decades - math.log10(high / low)
    apart = 10 ** (missing / 2) if missing > 0 else 1.0
    return low / apart, high * apart


def log_axis(axis: Axis) -> None:
    """Gives these ticks to a logarithmic axis."""
    axis.set_major_locator(Decades())
    axis.set_major_formatter(Plain())
    axis.set_minor_locator(NullLocator())


def log_heights(axes: Axes, heights: Sequence[float], margin: float) -> None:
    """Makes the axis of heights logarithmic, long enough to have ticks.

    Args:
        heights: what is shown; nan where nothing is.
        margin: factor that is left free below and above.
    """
    axes.set_yscale("log")
    log_axis(axes.yaxis)
    known = [height for height in heights if not math.isnan(height)]
    axes.set_ylim(span(min(known, default=1.0) / margin, max(known, default=1.0) * margin, 1.2))
