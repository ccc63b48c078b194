"""The study of a search: its trials and their values, on disk, so that a killed search can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import optuna
from filelock import FileLock
from optuna import Study, Trial
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from gradvitals.results.objective import Objective

FILE = "study.log"  # a journal, one event a line
PRUNED = "pruned"  # attribute of a trial: why it was ended early
OBJECTIVE = "objective"  # attribute of a study: what its trials are compared by
WORKER = "worker"  # attribute of a trial: who runs it


def open_study(sweep_dir: Path, options: Mapping[str, Any], direction: Literal["maximize", "minimize"]) -> Study:
    """Opens the study of a sweep's directory, which is created where there is none."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=_storage(sweep_dir), study_name=sweep_dir.name, direction=direction, load_if_exists=True
    )
    study.pruner = _pruner(options)
    reseed(study, options)
    return study


def trial_in(sweep_dir: Path, options: Mapping[str, Any], number: int) -> Trial:
    """Opens a running trial in the process that trains it."""
    study = optuna.load_study(storage=_storage(sweep_dir), study_name=sweep_dir.name, pruner=_pruner(options))
    return Trial(study, study.trials[number]._trial_id)


def _storage(sweep_dir: Path) -> JournalStorage:
    lock: Any = FileLock(sweep_dir / f"{FILE}.lock")  # Optuna's own lock outlives a process that is killed with it
    return JournalStorage(JournalFileBackend(str(sweep_dir / FILE), lock))


def _pruner(options: Mapping[str, Any]) -> MedianPruner:
    return MedianPruner(n_startup_trials=options["prune_after_trials"], n_warmup_steps=options["prune_after_epochs"])


def reseed(study: Study, options: Mapping[str, Any]) -> None:
    """Seeds the sampler by the number of trials, so that a resumed search or another worker draws other values."""
    seed = options["seed"] + len(study.get_trials(deepcopy=False))
    # constant_liar: trials side by side should not be neighbors
    study.sampler = TPESampler(seed=seed, n_startup_trials=options["startup_trials"], constant_liar=True)


def objective_of(study: Study, resolved: Objective | None) -> Objective | None:
    """Returns what a study's trials are compared by: what the first of them resolved, which this call keeps."""
    if known := study.user_attrs.get(OBJECTIVE):
        return Objective(**known)
    if resolved is not None:
        study.set_user_attr(OBJECTIVE, asdict(resolved))
    return resolved


def oriented(study: Study, objective: Objective, value: float) -> float:
    """Returns a value for the study to compare, with its sign turned where the study has the opposite direction.

    A study needs its direction before any trial has run. ``objective=auto`` is then not resolved: the study maximizes,
    and gets the negative of ``val/loss`` where the trials log nothing better.
    """
    return value if _has_mode_of(study, objective) else -value


def as_logged(study: Study) -> Study:
    """Returns the study with the values that were logged and the objective's own direction, to be shown."""
    objective = objective_of(study, None)
    if objective is None or _has_mode_of(study, objective):
        return study
    shown = optuna.create_study(direction="minimize" if objective.lower_is_better else "maximize")
    for trial in study.get_trials():
        trial.values = None if trial.values is None else [-value for value in trial.values]
        trial.intermediate_values = {step: -value for step, value in trial.intermediate_values.items()}
        shown.add_trial(trial)
    return shown


def _has_mode_of(study: Study, objective: Objective) -> bool:
    return (study.direction.name == "MINIMIZE") == objective.lower_is_better


def ended(study: Study) -> list[FrozenTrial]:
    """Returns the trials with a result: complete or pruned."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def result_of(study: Study, params: Mapping[str, Any]) -> FrozenTrial | None:
    """Returns an ended trial of the same parameters."""
    return next((trial for trial in ended(study) if trial.params == params), None)


def running(study: Study) -> list[FrozenTrial]:
    """Returns the trials that some worker runs, or ran when it was killed."""
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def queued(study: Study) -> list[dict[str, Any]]:
    """Returns the parameters that are to be tried next, whatever the sampler would draw."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return [trial.system_attrs.get("fixed_params", {}) for trial in waiting]


def given_out(study: Study) -> int:
    """Returns how many different trials were begun, by any worker, and are not queued again."""
    begun = [trial.params for trial in study.get_trials(deepcopy=False) if trial.params]
    return len({frozenset(params.items()) for params in begun} - {frozenset(each.items()) for each in queued(study)})
