"""The study of a search: what was tried and what came of it, on disk, so that it survives a kill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gradvitals.errors import ConfigError
from gradvitals.results.objective import Objective

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

FILE = "study.log"  # a journal: each line is one thing that happened
PRUNED = "pruned"  # the attribute of a trial that says why it was ended early
OBJECTIVE = "objective"  # the attribute of a study that says what its trials are compared by
WORKER = "worker"  # the attribute of a trial that says who runs it


def open_study(sweep_dir: Path, options: Mapping[str, Any], direction: Literal["maximize", "minimize"]) -> Study:
    """The study of a sweep's directory; made where there is none."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=_storage(sweep_dir), study_name=_name(sweep_dir), direction=direction, load_if_exists=True
    )
    study.pruner = _pruner(options)
    draw_anew(study, options)
    return study


def objective_of(study: Study, resolved: Objective | None) -> Objective | None:
    """Returns what a study's trials are compared by: what the first of them resolved, and wrote down by this call."""
    if known := study.user_attrs.get(OBJECTIVE):
        return Objective(**known)
    if resolved is not None:
        study.set_user_attr(OBJECTIVE, asdict(resolved))
    return resolved


def oriented(study: Study, objective: Objective, value: float) -> float:
    """Returns a value for the study to compare, with its sign turned where the study has the opposite direction.

    A study needs its direction before any trial has run. ``objective=auto`` is then not resolved: the study maximizes,
    and is given the negative of ``val/loss`` where the trials log nothing better.
    """
    return value if _has_mode_of(study, objective) else -value


def as_logged(study: Study) -> Study:
    """Returns the study with the values that were logged and the objective's own direction, to be shown."""
    import optuna

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


def draw_anew(study: Study, options: Mapping[str, Any]) -> None:
    """Seed the sampler with the number of trials: a search that goes on, or another worker, draws what none did yet."""
    from optuna.samplers import TPESampler

    seed = options["seed"] + len(study.get_trials(deepcopy=False))
    # constant_liar: trials side by side should not be neighbours
    study.sampler = TPESampler(seed=seed, n_startup_trials=options["startup_trials"], constant_liar=True)


def trial_in(sweep_dir: Path, options: Mapping[str, Any], number: int) -> Trial:
    """A running trial, for the process that trains it."""
    import optuna

    study = optuna.load_study(storage=_storage(sweep_dir), study_name=_name(sweep_dir), pruner=_pruner(options))
    return optuna.Trial(study, study.trials[number]._trial_id)


def _name(sweep_dir: Path) -> str:
    return sweep_dir.name


def _storage(sweep_dir: Path) -> Any:
    from filelock import FileLock
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    # Optuna's own lock outlives a process that is killed while it has it.
    lock: Any = FileLock(sweep_dir / f"{FILE}.lock")
    return JournalStorage(JournalFileBackend(str(sweep_dir / FILE), lock))


def _pruner(options: Mapping[str, Any]) -> Any:
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=options["prune_after_trials"], n_warmup_steps=options["prune_after_epochs"])


def need_optuna() -> None:
    """Refuse a search where Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError('sweep=optuna needs a package: Optuna. Install it by pip install ".[optuna]"') from None


def ended(study: Study) -> list[FrozenTrial]:
    """The trials with a result: complete or pruned."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def result_of(study: Study, params: Mapping[str, Any]) -> FrozenTrial | None:
    """An earlier trial of the same parameters."""
    return next((trial for trial in ended(study) if trial.params == params), None)


def running(study: Study) -> list[FrozenTrial]:
    """The trials that some worker runs, or was running when it was killed."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def queued(study: Study) -> list[dict[str, Any]]:
    """The parameters that are to be tried next, whatever the sampler would draw."""
    from optuna.trial import TrialState

    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return [trial.system_attrs.get("fixed_params", {}) for trial in waiting]


def given_out(study: Study) -> int:
    """How many different trials were begun, by any worker, and are not queued again."""
    begun = {_key(trial.params) for trial in study.get_trials(deepcopy=False) if trial.params}
    return len(begun - {_key(params) for params in queued(study)})


def _key(params: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(params.items())
