"""Verdicts of recurrent nets by hand: the gradient over time steps counts where the net does not learn."""

from __future__ import annotations

import json
import math

import pytest

from gradvitals.diagnosis.diagnose import Examination
from gradvitals.diagnosis.history import Observation, Subject
from gradvitals.diagnosis.time_profile import time_profile
from gradvitals.diagnosis.training_state import TrainingState
from tests.diagnosis.runs import CHANCE, STEPS, numbers, run

FALLING = [CHANCE * 0.9**i for i in range(len(STEPS))]
VANISHED = [0.8 ** (99 - t) for t in range(100)]
EXPLODED = [1.2 ** (99 - t) for t in range(100)]
FLAT = [1.0] * 100


def test_vanishing_through_time():
    """.8^80 of the last gradient reaches the 20th step, and the root mean square of 20 is smaller by 7.2^.5."""
    found = run(numbers(), over_time=[VANISHED])
    cause = found.findings[0]
    assert (found.verdict, found.step, cause.layer, cause.cause) == ("vanishing", 50, 1, "through time")
    assert cause.value == pytest.approx(80 * math.log10(0.8) - math.log10(7.2) / 2, rel=1e-3)
    assert str(found).startswith("vanishing at step 50: the first 20 of 100 steps receive 6.6e-09 of the last one's")
    assert "nn.GRU" in found.advice


def test_a_net_whose_task_needs_no_memory_is_healthy():
    assert run(numbers(), FALLING, over_time=[VANISHED]).verdict == "healthy"
    assert run(numbers(), FALLING, over_time=[EXPLODED]).verdict == "healthy"


def test_what_all_time_steps_receive_alike_is_no_cause():
    assert run(numbers(), over_time=[FLAT]).verdict == run(numbers()).verdict == "undecided"


def test_a_profile_that_vanished_once_is_no_cause():
    assert run(numbers(), over_time=[VANISHED] * 9 + [FLAT] * 4 + [VANISHED]).verdict == "undecided"


def test_what_training_made_vanish_counts_too():
    """The recurrent weights drive the units into saturation in the first steps, and keep them there."""
    assert run(numbers(), over_time=[FLAT, *[VANISHED] * 13]).verdict == "vanishing"


def test_a_gradient_that_reaches_further_and_further_is_given_three_times_the_patience():
    """Gates that learn to keep the state: a decade more at each step that is measured, and the loss not yet lower."""
    steps = (*range(10), 50, 100, 149)
    rising = [[10.0 ** (i - 20)] * 20 + [1.0] * 80 for i in range(15)]
    assert run(numbers(), steps=steps, over_time=rising).verdict == "undecided"
    assert run(numbers(), steps=(*steps, 150), over_time=rising).verdict == "vanishing"
    assert run(numbers(), steps=steps, over_time=rising[::-1][2:]).verdict == "vanishing"


def test_weights_that_hardly_move_are_a_matter_of_the_rate():
    """The last time steps alone would make them move."""
    assert run(numbers(update=2e-5), over_time=[VANISHED]).verdict == "stalled"


def test_layers_come_before_time():
    """A head of many layers hides whatever the recurrent layer does."""
    found = run(numbers((1e-9, 1e-6, 1e-3, 1.0)), over_time=[VANISHED])
    assert found.findings[0].evidence.startswith("layer 0 receives")


def test_a_rate_that_is_too_high_is_the_cause_of_what_vanishes_over_time():
    found = run([numbers(update=0.5)] * 14, over_time=[VANISHED])
    assert (found.verdict, [f.rule for f in found.findings[1:]]) == ("unstable", ["vanishing"])


def test_exploding_through_time():
    """1.2^80 from the 80th step, the largest of the last fifth, to the first, and less by (20 (1 - 1.2^-2))^.5."""
    found = run(numbers(), over_time=[EXPLODED])
    cause = found.findings[0]
    assert (found.verdict, cause.cause) == ("exploding", "through time")
    assert cause.value == pytest.approx(80 * math.log10(1.2) - math.log10(20 * (1 - 1.2**-2)) / 2, rel=1e-3)
    assert "clip_grad_norm_" in found.advice


def test_what_explodes_over_time_from_the_start_makes_the_loss_jump():
    """Steps that rewrite the weights are a symptom then, and so is a loss that is not finite."""
    found = run([numbers(update=0.5)] * 14, over_time=[EXPLODED])
    assert (found.verdict, [f.rule for f in found.findings]) == ("exploding", ["exploding"])
    broken = run(numbers(), [CHANCE, math.inf], steps=(0, 1), over_time=[EXPLODED])
    assert (broken.verdict, [f.rule for f in broken.findings[1:]]) == ("exploding", ["non_finite"])


def test_the_verdict_outlasts_the_end_where_nothing_is_measured():
    examined = Examination(Subject(chance=CHANCE, planned_steps=200))
    for step in (0, 50, 100):
        examined.take(Observation.of(step, [CHANCE] * 50, numbers(), through_time={0: VANISHED}))
    assert examined.take(Observation.of(120, [CHANCE] * 20, {})).verdict == "vanishing"


def test_a_checkpoint_keeps_what_was_seen_over_time():
    examined = Examination(Subject(chance=CHANCE))
    state = TrainingState(rate=0.1)
    examined.take(Observation.of(0, [CHANCE], numbers(), state=state, through_time={0: VANISHED}))
    examined.take(Observation.of(1, [CHANCE], numbers()))
    resumed = Examination()
    resumed.load_state_dict(json.loads(json.dumps(examined.state_dict())))
    assert [o.through_time for o in resumed.history.observations] == [time_profile(VANISHED), None]
    for each in (examined, resumed):
        each.take(Observation.of(60, [CHANCE] * 60, numbers(), through_time={0: VANISHED}))
    assert str(resumed.diagnosis) == str(examined.diagnosis)
    assert "vanishing" in str(resumed.diagnosis)
