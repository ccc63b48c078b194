import math

import pytest

from gradvitals.diagnosis.time_profile import time_profile


def falling(factor, steps=100):
    """Norms that change by this factor from each time step to the one before it."""
    return [factor ** (steps - 1 - t) for t in range(steps)]


@pytest.mark.parametrize(
    ("norms", "label"),
    [
        (falling(0.9), "vanishing"),  # .9^80 is 2e-4
        (falling(1.1), "exploding"),
        (falling(0.95), "healthy"),  # .95^80 is 1.7e-2: the last of the first 20 counts
        ([0.99e-2] * 20 + [1.0] * 80, "vanishing"),
        ([1.01e-2] * 20 + [1.0] * 80, "healthy"),
        ([99.0] * 20 + [1.0] * 80, "healthy"),
        ([101.0] * 20 + [1.0] * 80, "exploding"),
        ([1.0] * 4, "unknown"),
        ([], "unknown"),
        ([0.0] * 50, "unknown"),
        ([None] * 50, "unknown"),
        ([math.nan] * 50, "unknown"),
        ([1.0] * 99 + [math.inf], "unknown"),  # of the loss, and not of time
        ([math.inf] * 20 + [1.0] * 80, "exploding"),
    ],
)
def test_two_decades_between_the_first_and_the_last_fifth(norms, label):
    assert time_profile(norms).label == label


def test_the_numbers_of_a_geometric_profile_are_those_of_arithmetic():
    found = time_profile(falling(0.8), layer=3)
    assert (found.steps, found.early, found.layer) == (100, 20, 3)
    assert found.ratio == pytest.approx(0.8**80)  # from the 20th step to the last
    assert found.factor == pytest.approx(0.8)
    assert found.share == pytest.approx(0.79)  # .8^20 is .0115, .8^21 .0092: steps 0 to 78 of 100
    assert (
        found.evidence == "the first 20 of 100 time steps receive 1.8e-08 of the last one's gradient: 0.8 per time step"
    )


def test_what_underflows_has_vanished_and_the_factor_is_of_what_is_left():
    found = time_profile([0.0] * 40 + falling(0.5, 60))
    assert (found.label, found.ratio) == ("vanishing", 0.0)
    assert found.factor == pytest.approx(0.5)
    assert found.evidence == "the first 20 of 100 time steps receive nothing of the last one's gradient"


def test_steps_that_no_loss_reads_are_left_out():
    """The loss reads the 60th of 100 steps; the rest is padding."""
    found = time_profile(falling(0.8, 60) + [0.0] * 40)
    assert found.label == "vanishing"
    assert found.ratio == pytest.approx(0.8**40)  # from the 20th step to the 60th


def test_steps_that_were_not_measured_are_left_out():
    whole = falling(0.8)
    holes = [None if t % 3 == 0 else math.nan if t % 3 == 1 else norm for t, norm in enumerate(whole)]
    found = time_profile(holes)
    assert found.label == "vanishing"
    assert found.factor == pytest.approx(0.8)


def test_a_loss_that_reads_every_step_gives_a_flat_profile_of_which_nothing_is_said():
    """Step t receives 1 + .5 + .25 + ... of the losses behind it: 2, but at the end."""
    norms = [sum(0.5**k for k in range(50 - t)) for t in range(50)]
    assert time_profile(norms).label == "healthy"


def test_one_small_step_is_no_evidence():
    assert time_profile([1e-9, *[1.0] * 98, 1e-9]).label == "healthy"


def test_exploding_in_words():
    found = time_profile(falling(1.2, 50))  # 1.2^40 is 1470
    assert (
        found.evidence == "the first 10 of 50 time steps receive 1,500 times the last one's gradient: 1.2 per time step"
    )
    overflown = time_profile([math.inf] * 20 + [1.0] * 80)
    assert overflown.evidence == "the first 20 of 100 time steps receive a gradient that is not a finite number"
