"""When a search ends a trial early, and what it writes down."""

from __future__ import annotations

import math
from types import SimpleNamespace

import optuna
import pytest

from gradvitals.app.sweep.optuna_study import PRUNED
from gradvitals.app.sweep.pruning import Pruning
from gradvitals.callbacks.gradient_vitals import GradientVitals


class Trial:
    """A trial that is worse than the others from .5 down."""

    def __init__(self, direction: str = "maximize") -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(direction=direction)
        self.reported: list[tuple[float, int]] = []
        self.attributes: dict[str, str] = {}

    def report(self, value: float, step: int) -> None:
        self.reported.append((value, step))

    def should_prune(self) -> bool:
        return self.reported[-1][0] < 0.5

    def set_user_attr(self, key: str, value: str) -> None:
        self.attributes[key] = value


def trainer(accuracy: float, *callbacks, sanity_checking: bool = False) -> SimpleNamespace:
    metrics = {"val/acc": accuracy, "val/loss": 1.0}
    found = SimpleNamespace(callback_metrics=metrics, sanity_checking=sanity_checking, current_epoch=3)
    found.should_stop, found.callbacks = False, list(callbacks)
    return found


def test_a_trial_that_is_worse_ends():
    trial, fit = Trial(), trainer(0.4)
    pruning = Pruning(trial)
    pruning.on_validation_end(fit, None)
    assert fit.should_stop
    assert trial.reported == [(0.4, 3)]
    assert trial.attributes[PRUNED] == pruning.ended_because
    assert pruning.ended_because == "pruned after epoch 3: val/acc 0.4, half of the others were better"


@pytest.mark.parametrize(
    ("fit", "reported"),
    [
        (trainer(0.6), [(0.6, 3)]),
        (trainer(0.1, sanity_checking=True), []),
        (trainer(math.nan), []),
    ],
    ids=["as good as others", "before the first epoch", "not a number"],
)
def test_a_trial_that_goes_on(fit, reported):
    trial = Trial()
    Pruning(trial).on_validation_end(fit, None)
    assert not fit.should_stop
    assert trial.reported == reported


def test_a_verdict_without_hope_prunes_too():
    monitor, trial = GradientVitals(auto_stop=True), Trial()
    monitor.stopped_it = True
    pruning = Pruning(trial)
    pruning.on_fit_end(trainer(0.6, monitor), None)
    assert trial.attributes[PRUNED] == pruning.ended_because == "ended by its verdict: undecided"


def test_a_fit_that_ended_by_itself_is_no_pruned_one():
    trial = Trial()
    Pruning(trial).on_fit_end(trainer(0.6, GradientVitals()), None)
    assert not trial.attributes
