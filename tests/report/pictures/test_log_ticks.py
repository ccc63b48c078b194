"""Ticks of the pictures: few, round, within the axis, and said in one way."""

from __future__ import annotations

import math
import re

import pytest
from matplotlib.figure import Figure

from gradvitals.report.pictures.log_ticks import MOST, labels, log_axis, span, ticks

SPANS = [
    (1e-320, 1e300),
    (1e-45, 3e38),
    (1e-20, 1.0),
    (1e-3, 1e3),
    (0.02, 1.9),
    (0.015, 0.3),
    (1.1, 11.5),
    (2e-12, 3e-11),
]


@pytest.mark.parametrize("ends", SPANS)
def test_ticks_are_few_and_within(ends):
    found = ticks(*ends)
    assert 2 <= len(found) <= MOST
    assert all(ends[0] <= tick <= ends[1] for tick in found)
    assert found == sorted(set(found))


@pytest.mark.parametrize("ends", SPANS)
def test_what_a_tick_is_called_is_what_it_is(ends):
    assert [read(word) for word in labels(ticks(*ends))] == pytest.approx(ticks(*ends))


def read(word: str) -> float:
    """0.02 and 10⁻⁸ and 2 times that, as a person reads them."""
    power = re.fullmatch(r"(?:(\d)\W)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", word)
    if power is None:
        return float(word)
    return float(f"{power[1] or 1}e{power[2].translate(str.maketrans('⁻⁰¹²³⁴⁵⁶⁷⁸⁹', '-0123456789'))}")


def test_one_axis_speaks_one_way():
    assert labels([0.01, 0.1, 1.0, 100.0]) == ["0.01", "0.1", "1", "100"]
    assert labels([1e-4, 0.01, 1.0]) == ["10⁻⁴", "10⁻²", "10⁰"]


def drawn(*sizes: float):
    axes = Figure().add_subplot()
    axes.set_yscale("log")
    axes.plot(sizes)
    log_axis(axes.yaxis)
    return axes


@pytest.mark.parametrize("sizes", [(1.0, 1.01), (0.3,), (1e-9, 2e-9), (math.nan, math.nan)])
def test_an_axis_spans_a_decade_at_least(sizes):
    low, high = drawn(*sizes).get_ylim()
    assert high / low >= 9.999
    assert not any(size < low or size > high for size in sizes)


def test_the_ticks_follow_when_the_axis_is_set_to_other_ends():
    # as pictures do that are to be compared
    axes = drawn(0.1, 1.0)
    axes.set_ylim(1e-8, 1.0)
    assert [read(label.get_text()) for label in axes.get_yticklabels()] == [10.0**power for power in range(-8, 1)]
    assert not len(axes.yaxis.get_minorticklocs())


@pytest.mark.parametrize("ends", [(0.0, 1.0), (math.nan, math.nan), (1.0, math.inf), (-1.0, 1.0)])
def test_ends_that_a_logarithm_has_none_of(ends):
    assert span(*ends, 2) == pytest.approx((0.1, 10))
