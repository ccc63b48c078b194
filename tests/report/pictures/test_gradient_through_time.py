"""The picture by time step: every norm in its place, shorter sequences at the ends of longer ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradvitals.diagnosis.time_profile import TimeNorms
from gradvitals.report.pictures.canvas import png
from gradvitals.report.pictures.gradient_through_time import FEW, MOST_LAYERS, NAMED, gradient_through_time

FALLING = TimeNorms(3, (1e-4, 1e-2, 1.0))


def drawn(profiles, **options):
    """The axes of the lines and of the heat map of one layer."""
    return gradient_through_time({"00.rnn": profiles}, **options).axes


def test_a_line_per_measured_step_and_a_column_of_powers():
    lines, colors, *_ = drawn({50: TimeNorms(3, (1e-2, 1e-1, 1.0)), 0: FALLING})
    assert [[*line.get_ydata()] for line in lines.lines] == [[1e-4, 1e-2, 1.0], [1e-2, 1e-1, 1.0]]
    assert [line.get_label() for line in lines.lines] == ["step 0", "step 50"]
    assert [*lines.lines[0].get_xdata()] == [0, 1, 2]
    assert (lines.get_yscale(), lines.get_xlabel()) == ("log", "time step")
    assert np.asarray(colors.images[0].get_array()).tolist() == [[-4, -2], [-2, -1], [0, 0]]  # the first step is below
    assert colors.images[0].origin == "lower"
    assert colors.get_ylim() == (-0.5, 2.5)
    assert [label.get_text() for label in colors.get_xticklabels()] == ["0", "50"]


def test_long_sequences_are_named_by_their_steps():
    norms = TimeNorms.of([10.0 ** (step / 100) for step in range(500)])
    lines, colors, *_ = drawn({0: norms})
    assert lines.lines[0].get_xdata()[-1] == 499
    assert colors.get_ylim() == (-0.5, 499.5)


def test_ticks_are_at_whole_steps():
    lines, colors, *_ = drawn({0: TimeNorms.of([10.0**-step for step in range(20)])})
    assert all(tick == round(tick) for tick in [*lines.get_xticks(), *colors.get_yticks()])


def test_a_shorter_sequence_ends_where_the_others_end():
    lines, colors, *_ = drawn({0: FALLING, 1: TimeNorms(2, (10.0, 100.0))})
    assert [[*line.get_xdata()] for line in lines.lines] == [[0, 1, 2], [1, 2]]
    found = np.ma.masked_invalid(colors.images[0].get_array())
    assert found.tolist() == [[-4, None], [-2, 1], [0, 2]]


def test_what_is_no_size_is_left_out():
    _, colors, *_ = drawn({0: TimeNorms(4, (0.0, math.inf, math.nan, 2.0))})
    assert np.ma.masked_invalid(colors.images[0].get_array()).mask.ravel().tolist() == [True, True, True, False]
    figure = gradient_through_time({"00.rnn": {0: TimeNorms(2, (0.0, 0.0))}})
    assert "no finite gradient arrives" in figure.axes[0].get_title(loc="left")
    assert png(figure, dpi=30)


def test_theory_is_a_line_from_the_last_step_backward():
    lines, *_ = drawn({0: FALLING}, predicted={"00.rnn": 0.5})
    assert [*lines.lines[1].get_ydata()] == [0.25, 0.5, 1.0]
    assert lines.lines[1].get_label() == "theory: 0.5 per step"


def test_the_title_is_the_evidence():
    norms = TimeNorms(5, (1e-9, 1e-6, 1e-4, 1e-2, 1.0))
    title = drawn({0: norms})[0].get_title(loc="left")
    assert title == "00.rnn: at step 0 the first step of 5 receives 1e-09 of the last one's gradient"


@pytest.mark.parametrize(("layers", "steps", "length"), [(1, 1, 2), (1, 64, 3000), (2, 8, 100), (9, 2, 5)])
def test_any_number_is_drawn(layers, steps, length):
    norms = TimeNorms.of([10.0 ** (-8 * step / length) for step in range(length)])
    found = {f"0{layer}.$x_{{": {50 * step: norms for step in range(steps)} for layer in range(layers)}
    figure = gradient_through_time(found, subtitle="$x_{" * 100)
    rows = [axes for axes in figure.axes if axes.lines]
    assert len(rows) == min(layers, MOST_LAYERS)
    assert all(len(axes.lines) <= FEW for axes in rows)
    assert all(len(axes.get_xticks()) <= NAMED for axes in figure.axes if axes.images)
    assert png(figure, dpi=30).startswith(b"\x89PNG")


def test_nothing_to_draw():
    for nothing in ({}, {"00.rnn": {}}):
        with pytest.raises(ValueError, match="expected a measured recurrent layer; got none"):
            gradient_through_time(nothing)
