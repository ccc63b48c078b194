"""Metrics as witnesses, by arithmetic that is done by hand."""

import json
import math
from dataclasses import asdict

import pytest

from gradvitals.diagnosis.diagnose import Examination
from gradvitals.diagnosis.history import History, Observation, Subject
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.metric import MAX_VALUES, Metric
from gradvitals.diagnosis.metric_evidence import judge_metrics
from gradvitals.diagnosis.outcome import HEALTHY, NOT_LEARNING, UNDECIDED
from gradvitals.diagnosis.thresholds import Thresholds

CHANCE = 2.3
FLAT = (0.10, 0.12, 0.09, 0.11, 0.10)


def metric(*values: float, name: str = "val/acc", mode: str = "max", **kind: bool) -> Metric:
    return Metric(name, mode, **kind, values=[(100 * (i + 1), value) for i, value in enumerate(values)])


def val_loss(*values: float, **kind: bool) -> Metric:
    return metric(*values, name="val/loss", mode="min", is_loss=True, **kind)


def seen(*metrics: Metric, loss: float = CHANCE, chance: float | None = CHANCE, step: int = 900) -> History:
    """A run of 1000 planned steps with that training loss in the end."""
    losses = [Observation(0, 1, loss=CHANCE), Observation(step, 50, loss=loss)]
    return History(Subject(chance=chance, planned_steps=1000), losses, metrics={m.name: m for m in metrics})


def judged(history: History) -> tuple[str, str]:
    return judge_metrics(history, Thresholds()) or ("", "")


def test_a_metric_that_improves_by_more_than_its_scatter():
    """Bends -.08 and -.04: scatter sqrt(.008 / 2 / 6) = .026; error .026 * sqrt(1.5) * 2 = .063; .66 - .3 > .19."""
    assert metric(0.3, 0.5, 0.62, 0.7).has_improved(None)
    assert not metric(0.3, 0.5, 0.62, 0.7, mode="min").has_improved(None)
    assert metric(0.7, 0.5, 0.38, 0.3, mode="min").has_improved(None)


@pytest.mark.parametrize(
    "values",
    [
        (),
        (0.1, 0.9),  # too few
        (0.1, 0.9, 0.9),  # a bend of .8: scatter .33, error .33 * sqrt(1.5) * 5 = 2
        FLAT,
        (0.5, 0.5, 0.5, 0.5),
        (0.30, 0.31, 0.32, 0.33),  # certain, but little: .025 of .3
        (0.9, 0.7, 0.5, 0.3),
    ],
)
def test_a_metric_that_has_not_certainly_improved(values):
    assert not metric(*values).has_improved(None)


def test_a_loss_has_improved_only_below_that_of_a_constant():
    """From 4 to the constant's 2.3 falls what a net learns that only learns the frequencies of the classes."""
    falls = val_loss(4.0, 3.4, 2.8, 2.4, 2.3, 2.29)
    assert falls.has_improved(None)
    assert falls.has_improved(math.nan)
    assert not falls.has_improved(CHANCE)
    assert val_loss(2.5, 2.2, 1.9, 1.6).has_improved(CHANCE)


# A GAN's distance from a circle after each epoch: it wanders first, and is then below the first value for good.
WANDERS = (
    0.49,
    0.45,
    0.78,
    0.99,
    0.92,
    0.38,
    0.45,
    0.34,
    0.33,
    0.43,
    0.37,
    0.37,
    0.39,
    0.34,
    0.37,
    0.36,
    0.38,
    0.45,
    0.43,
    0.27,
)


def test_a_metric_that_improves_by_much_but_not_certainly_is_no_sign_of_not_learning():
    distance = metric(*WANDERS, name="distance", mode="min", is_asked=True)
    assert not distance.has_improved(None)
    assert judged(seen(distance, chance=math.nan)) == (
        UNDECIDED,
        "distance has improved from 0.49 to 0.373, but scatters so much that it may be chance",
    )
    worse = metric(*reversed(WANDERS), name="distance", mode="min", is_asked=True)
    assert judged(seen(worse, chance=math.nan))[0] == NOT_LEARNING


def test_values_are_finite_one_for_each_step_and_not_too_many():
    found = metric()
    for step, value in ((1, 0.5), (2, math.nan), (2, 0.6), (2, 0.7)):
        found.add(step, value)
    assert found.values == [(1, 0.5), (2, 0.7)]
    for step in range(3, 2000):
        found.add(step, step / 1000)
    assert len(found.values) <= MAX_VALUES
    assert (found.first, found.values[-1], found.best) == (0.5, (1999, 1.999), 1.999)


def test_a_metric_asked_for_decides_where_losses_show_nothing():
    players = {"chance": math.nan}
    grows = metric(0.2, 0.4, 0.55, 0.65, is_asked=True)
    assert judged(seen(grows, **players)) == (HEALTHY, "val/acc has improved from 0.2 to 0.6")
    flat = metric(*FLAT, is_asked=True)
    outcome, reason = judged(seen(flat, **players))
    assert outcome == NOT_LEARNING
    assert reason.startswith("val/acc has not improved on its first value, 0.1 at step 100: it is 0.1")
    assert judged(seen(flat, **players, step=400))[0] == UNDECIDED  # it has not had its time
    assert judged(seen(metric(0.1, is_asked=True), **players)) == (
        UNDECIDED,
        "val/acc has not certainly improved so far (1 value)",
    )
    assert judged(seen(metric(0.97, 0.96, 0.97, 0.97, is_asked=True), **players))[0] == UNDECIDED


def test_a_metric_that_has_improved_by_little_is_no_evidence():
    """From .3 to .325: more than 2 % of .3, and less than 20 %; from .9 to .925 is a quarter of what is left to 1."""
    little = metric(0.30, 0.31, 0.32, 0.33, is_asked=True)
    assert little.has_improved(None, 0.02)
    assert judged(seen(little, chance=math.nan)) == (
        UNDECIDED,
        "val/acc has improved by little on its first value, 0.3 at step 100",
    )
    assert metric(0.90, 0.91, 0.92, 0.93).has_improved(None)


def test_a_metric_asked_for_beside_a_loss_that_falls():
    flat = metric(*FLAT, is_asked=True)
    assert judged(seen(flat, loss=0.4)) == (
        UNDECIDED,
        "the training loss falls, but val/acc has not improved on its first value, 0.1 at step 100",
    )
    assert judged(seen(flat)) == ("", "")  # the loss itself shows that nothing is learned
    assert judged(seen(metric(0.1, 0.2, is_asked=True), loss=0.4)) == ("", "")


def test_a_metric_asked_for_that_improves_withdraws_the_suspicion():
    grows, history = metric(0.2, 0.4, 0.55, 0.65, is_asked=True), seen()
    assert does_not_learn(history, Thresholds())
    history.metrics = {grows.name: grows}
    assert not does_not_learn(history, Thresholds())
    history.metrics = {grows.name: metric(0.2, 0.4, 0.55, 0.65)}  # nobody asked for it
    assert does_not_learn(history, Thresholds())


def test_learned_by_heart():
    outcome, reason = judged(seen(val_loss(2.35, 2.6, 3.1), loss=0.4))
    assert outcome == NOT_LEARNING
    assert reason.startswith(
        "the training loss falls to 0.4, but val/loss (2.35 at best) was never below that of a constant output (2.3)"
    )
    assert judged(seen(val_loss(2.35, 2.6), loss=0.4, step=400))[0] == UNDECIDED
    short = seen(val_loss(2.35, 2.6), loss=0.4, step=20)
    short.is_final = True
    assert judged(short)[0] == UNDECIDED


def test_a_first_validation_that_comes_late_does_not_show_how_a_net_learned():
    history = seen(val_loss(2.35, 2.6, 3.1), loss=0.4)
    assert judged(history)[0] == NOT_LEARNING
    history.observations.insert(1, Observation(99, 50, loss=0.5))  # the first value is of step 100
    assert judged(history)[0] == UNDECIDED


@pytest.mark.parametrize(
    ("values", "train"),
    [
        ((0.9, 2.6, 3.1), 0.1),  # learns at once, and overfits later
        ((2.35, 2.32, 2.31), 2.0),  # is slow: the training loss itself is near the constant
        ((2.35,), 0.4),  # one value
        ((230.0, 240.0), 0.4),  # is a sum over samples
    ],
)
def test_not_learned_by_heart(values, train):
    assert judged(seen(val_loss(*values), loss=train)) == ("", "")
    assert judged(seen(val_loss(*values), loss=train, chance=None)) == ("", "")


def test_another_metric_only_speaks_for_learning():
    grows, flat = metric(0.2, 0.4, 0.55, 0.65), metric(*FLAT)
    assert judged(seen(grows, chance=math.nan))[0] == HEALTHY
    assert judged(seen(grows)) == ("", "")  # may be the share of the largest class; the loss shows it better
    assert judged(seen(grows, val_loss(2.35, 2.6), loss=0.4)) == ("", "")
    assert judged(seen(flat, chance=math.nan)) == ("", "")


def test_the_severity_of_what_is_learned_by_heart_and_its_plain_state():
    run = Examination(Subject(chance=CHANCE, planned_steps=1000))
    known = val_loss(2.35, 2.6, 3.1)
    run.history.metrics = {"val/loss": known}
    run.take(Observation(50, 50, loss=CHANCE))
    found = [run.take(Observation(step, 50, loss=0.4)) for step in (150, 900)]
    assert [(d.verdict, d.severity, d.step) for d in found] == [(UNDECIDED, None, None), (NOT_LEARNING, 1.0, 900)]
    again = Examination()
    again.load_state_dict(json.loads(json.dumps({"metrics": run.state_dict()["metrics"]})) | run_without_metrics(run))
    assert asdict(again.history.metrics["val/loss"]) == asdict(known)


def test_the_severity_where_a_metric_alone_shows_that_nothing_is_learned():
    """The loss of a policy falls by 90 %, and the reward stays."""
    run = Examination(Subject(planned_steps=1000))
    run.history.metrics = {"reward": metric(*FLAT, name="reward", is_asked=True)}
    run.take(Observation(50, 50, loss=1.0))
    found = run.take(Observation(900, 50, loss=0.1))
    assert (found.verdict, found.severity) == (NOT_LEARNING, 1.0)


def run_without_metrics(run: Examination) -> dict:
    """As checkpoints were before there were metrics."""
    return {key: value for key, value in run.state_dict().items() if key != "metrics"}


def test_a_checkpoint_without_metrics():
    run = Examination()
    run.take(Observation(0, 1, loss=2.3))
    again = Examination()
    again.load_state_dict(run_without_metrics(run))
    assert again.history.metrics == {}
