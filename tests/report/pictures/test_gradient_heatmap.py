"""The layer x step picture: every norm in its cell, and grey for what is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradvitals.report.pictures.canvas import png
from gradvitals.report.pictures.gradient_by_layer import LONGEST
from gradvitals.report.pictures.gradient_heatmap import NAMED, gradient_heatmap

RISING = [1e-6, 1e-4, 1e-2]


def cells(profiles) -> np.ma.MaskedArray:
    """The powers of ten that the picture shows: a row per layer, a column per measured step."""
    return np.ma.masked_invalid(gradient_heatmap(profiles).axes[0].images[0].get_array())


def ticks_of(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def test_a_row_per_layer_and_a_column_per_step_in_their_order():
    profiles = {50: [1e4, 1e5, 1e6], 0: [1e1, 1e2, 1e3]}
    assert cells(profiles).tolist() == [[1, 4], [2, 5], [3, 6]]
    figure = gradient_heatmap(profiles, subtitle="act=sigmoid")
    (axes,) = figure.axes
    (bar,) = axes.child_axes
    assert ticks_of(axes.xaxis) == ["0", "50"]
    assert axes.get_ylim() == (-0.5, 2.5)  # layer 0, next to the input, is at the bottom
    assert axes.get_xlabel() == "step (one column for each measured step)"
    assert bar.get_ylabel() == "L2 norm of dL/dh (grey: none)"
    assert [text.get_text() for text in figure.texts] == ["Gradient norm by layer and step", "act=sigmoid"]


def test_what_is_no_size_is_grey():
    found = cells({0: [None, 0.0, math.inf, math.nan, 2.0]})
    assert found.mask.ravel().tolist() == [True, True, True, True, False]
    nothing = cells({0: [None, None], 10: [0.0, math.inf]})
    assert nothing.mask.all()
    png(gradient_heatmap({0: [None, None]}), dpi=30)


def test_colors_are_by_decades_over_all_that_is_finite():
    shades = gradient_heatmap({0: RISING, 50: [1e-8, 0.0, math.inf]}).axes[0].images[0].norm
    assert (shades.vmin, shades.vmax) == (-8, -2)


@pytest.mark.parametrize("norms", [RISING, [0.2, 0.21], [3.0], [1e-12, 2e-12]])
def test_the_bar_names_two_sizes_at_least_and_all_within(norms):
    bar = gradient_heatmap({0: norms}).axes[0].child_axes[0]
    low, high = bar.get_ylim()
    assert len(bar.get_yticks()) >= 2
    assert all(low <= tick <= high for tick in bar.get_yticks())


def test_a_healthy_net_looks_even():
    shades = gradient_heatmap({0: [0.9, 1.0, 1.1]}).axes[0].images[0].norm
    assert np.ptp(shades([math.log10(0.9), math.log10(1.1)])) < 0.1  # of all colors


@pytest.mark.parametrize("count", [1, 2, NAMED, NAMED + 1, 256])
def test_the_first_and_the_last_step_are_named_and_no_more_than_fit(count):
    axis = gradient_heatmap({10 * step: RISING for step in range(count)}).axes[0].xaxis
    named = ticks_of(axis)
    assert (named[0], named[-1]) == ("0", str(10 * (count - 1)))
    assert len(named) == min(count, NAMED)
    assert [f"{10 * column:.0f}" for column in axis.get_ticklocs()] == named


def test_a_net_that_grows():
    assert cells({0: [1.0], 1: [1.0, 2.0]}).mask.tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize(("depth", "steps"), [(1, 1), (1, 256), (1000, 1), (1000, 256)])
def test_any_size_is_drawn(depth, steps):
    profiles = {50 * step: [10.0 ** (-8 * layer / depth) for layer in range(depth)] for step in range(steps)}
    assert cells(profiles).shape == (depth, steps)
    assert png(gradient_heatmap(profiles), dpi=30).startswith(b"\x89PNG")


def test_a_long_subtitle_is_cut():
    assert gradient_heatmap({0: RISING}, subtitle="x" * 300).texts[1].get_text() == "x" * (LONGEST - 3) + "..."


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="expected at least one measured step; got none"):
        gradient_heatmap({})
