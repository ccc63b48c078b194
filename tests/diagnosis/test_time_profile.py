import math

import pytest

from gradvitals.diagnosis.time_profile import at_input, time_profile


def falling(factor, steps=100):
    """Norms that change by this factor from each time step to the one before it."""
    return [factor ** (steps - 1 - t) for t in range(steps)]


@pytest.mark.parametrize(
    ("norms", "label"),
    [
        (falling(0.9), "vanishing"),  # .9^80 is 2e-4
        (falling(1.1), "exploding"),
        (falling(0.96), "healthy"),  # .96^80 is .04
        ([0.99e-2] * 20 + [1.0] * 80, "vanishing"),
        ([1.01e-2] * 20 + [1.0] * 80, "healthy"),
        ([99.0] * 20 + [1.0] * 80, "healthy"),
        ([101.0] * 20 + [1.0] * 80, "exploding"),
        ([1.0], "unknown"),
        ([], "unknown"),
        ([0.0] * 50, "unknown"),
        ([None] * 50, "unknown"),
        ([math.nan] * 50, "unknown"),
        ([1.0] * 99 + [math.inf], "unknown"),  # of the loss, and not of time
        ([math.inf] * 20 + [1.0] * 80, "exploding"),
        ([1.0] * 10 + [0.0] * 90, "unknown"),  # the loss reads no step beyond the first fifth
    ],
)
def test_two_decades_between_the_first_and_the_last_fifth(norms, label):
    assert time_profile(norms).label == label


def test_the_numbers_of_a_geometric_profile_are_those_of_arithmetic():
    """The squares of the first 20 norms are .64^80 (1 + .64 + .64^2 + ...) = .64^80 / .36, and a twentieth of that."""
    found = time_profile(falling(0.8), layer=3)
    assert (found.steps, found.first, found.layer) == (100, 20, 3)
    assert found.ratio == pytest.approx(0.8**80 / math.sqrt(0.36 * 20), rel=1e-3)
    assert found.factor == pytest.approx(0.8, rel=0.02)
    assert found.evidence == "the first 20 of 100 steps receive 6.6e-09 of the last one's gradient"


def test_squares_of_what_nearly_underflows_do_not():
    assert time_profile(falling(1e-3, 100)).ratio == pytest.approx(1e-240 / math.sqrt(20), rel=1e-3)


def test_what_underflows_has_vanished():
    found = time_profile([0.0] * 40 + falling(0.5, 60))
    assert (found.label, found.ratio) == ("vanishing", 0.0)
    assert found.evidence == "the first 20 of 100 steps receive nothing of the last one's gradient"


def test_steps_that_no_loss_reads_are_left_out():
    """The loss reads the 60th of 100 steps; the rest is padding."""
    found = time_profile(falling(0.8, 60) + [0.0] * 40)
    assert found.label == "vanishing"
    assert found.ratio == pytest.approx(0.8**40 / math.sqrt(0.36 * 20), rel=1e-3)  # the 20th step to the 60th


def test_steps_that_were_not_measured_are_left_out():
    holes = [None if t % 3 == 0 else math.nan if t % 3 == 1 else norm for t, norm in enumerate(falling(0.8))]
    assert time_profile(holes).label == "vanishing"


def test_a_loss_that_reads_every_step_gives_a_level_profile_of_which_nothing_is_said():
    """Step t receives 1 + .5 + .25 + ... of the losses behind it: 2, but at the end."""
    norms = [sum(0.5**k for k in range(50 - t)) for t in range(50)]
    assert time_profile(norms).label == "healthy"


def test_one_small_step_is_no_evidence():
    assert time_profile([1e-9, *[1.0] * 98, 1e-9]).label == "healthy"


def test_words():
    exploded = time_profile([1.2 ** (49 - t) for t in range(50)])
    assert exploded.evidence.startswith("the first 10 of 50 steps receive ")
    assert "times the last one's gradient" in exploded.evidence
    overflown = time_profile([math.inf] * 20 + [1.0] * 80)
    assert overflown.evidence == "the first 20 of 100 steps receive a gradient that is not a finite number"
    assert time_profile([1.0]).evidence == "too few time steps received a gradient"


def test_the_layer_nearest_to_the_input_counts():
    """What a layer above it forgets does not matter where this one passes it on."""
    assert at_input({3: falling(0.5), 1: [1.0] * 100}).label == "healthy"
    assert at_input({3: falling(0.5), 1: [0.0] * 100}).layer == 3  # nothing is known of the first
    assert at_input({1: [0.0] * 100}) is None
    assert at_input({}) is None
