"""A panel for each configuration: one scale, and gaps where nothing was measured."""

import io
import math
from pathlib import Path

import pytest
from matplotlib import image
from matplotlib.figure import Figure

from gradvitals.report.pictures import small_multiples as pictures
from gradvitals.report.pictures.small_multiples import MOST, small_multiples
from gradvitals.results.record import Record
from tests.report.made import some_vitals


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that are drawn, as matplotlib has them."""
    found: list[Figure] = []
    monkeypatch.setattr(pictures, "png", lambda figure, dpi: found.append(figure) or b"")
    return found


def a_run(*norms: float | None) -> Record:
    layers = [{"activation_grad_norm": {"start": norm, "end": None}} for norm in norms]
    return Record(Path("a"), vitals={"layers": layers})


def test_a_gradient_that_shrinks_in_all_layers_alike_keeps_its_shape(drawn):
    ends = [{"activation_grad_norm": {"start": norm, "end": norm / 1000}} for norm in (0.4, 0.2)]
    runs = [Record(Path("a"), vitals={"layers": ends}), Record(Path("b"), vitals={"layers": ends})]
    small_multiples([("a", runs)])
    (axes,) = drawn[0].axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[pytest.approx(2.0), 1.0]] * 4
    assert [text.get_text() for text in axes.texts] == ["last layer 0.2 \N{RIGHTWARDS ARROW} 0.0002"]


def test_panels_share_one_scale_and_show_gaps(drawn):
    small_multiples([("a", [a_run(1e-4, None, 1e-2, 1.0)]), ("b", [Record(Path("b"), vitals=some_vitals())])])
    first, second = drawn[0].axes
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[0] < 1e-6 < 1.0 < first.get_ylim()[1]
    assert first.get_xlim() == second.get_xlim()
    start, end = first.lines
    assert [math.isnan(y) for y in start.get_ydata()] == [False, True, False, False]
    assert all(map(math.isnan, end.get_ydata()))
    assert (start.get_linestyle(), end.get_linestyle()) == ("-", "--")


def test_layers_have_no_halves(drawn):
    small_multiples([("a", [a_run(1.0, 1.0)])])
    assert all(tick == int(tick) for tick in drawn[0].axes[0].get_xticks())


def test_what_was_not_measured_is_written_into_its_panel(drawn):
    small_multiples([("a", [a_run(1.0, 1.0)]), ("b", [Record(Path("b"))])])
    assert [[text.get_text() for text in axes.texts] for axes in drawn[0].axes] == [["last layer 1"], ["not measured"]]


def test_the_best_of_many_are_shown(drawn):
    small_multiples([(f"model.width={i}", [a_run(1.0, 1.0)]) for i in range(MOST + 5)])
    assert len(drawn[0].axes) == MOST
    assert "5 more are left out" in drawn[0].texts[0].get_text()


def test_words_stay_within_a_picture_of_one_panel(drawn):
    small_multiples([("a", [a_run(1.0, 1.0)])])
    box = [text.get_window_extent() for text in drawn[0].texts]
    assert max(each.x1 for each in box) <= drawn[0].bbox.width


def test_a_norm_that_is_not_finite_does_not_break_the_scale():
    made = small_multiples([("a", [a_run(math.inf, math.nan, 1.0)])])
    assert image.imread(io.BytesIO(made)).std() > 0.01


def test_a_sweep_without_a_measurement_is_drawn():
    assert small_multiples([("a", [Record(Path("a"))])]).startswith(b"\x89PNG")
