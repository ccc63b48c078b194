"""Steps of a figure: both ends, and not more than fit."""

from gradvitals.report.steps import spaced


def test_the_first_and_the_last_step_are_kept():
    kept = spaced([*range(10), 50, 100, 150, 400], 5)
    assert (kept[0], kept[-1]) == (0, 400)
    assert len(kept) <= 5
