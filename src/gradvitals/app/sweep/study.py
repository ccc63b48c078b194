"""The study of a search: what was tried and what came of it, on disk, so that it survives a kill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gradvitals.app.errors import Refused
from gradvitals.app.sweep.lock import FileLock

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

FILE = "study.log"  # a journal: each line is one thing that happened
PRUNED = "pruned"  # the attribute of a trial that says why it was ended early


def open_study(sweep_dir: Path, options: Mapping[str, Any], direction: Literal["maximize", "minimize"]) -> Study:
    """The study of a sweep's directory; made where there is none.

    The sampler is seeded anew with the number of trials, so that one that goes on does not draw the first ones again.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=_storage(sweep_dir), study_name=_name(sweep_dir), direction=direction, load_if_exists=True
    )
    study.sampler = optuna.samplers.TPESampler(
        seed=options["seed"] + len(study.trials),
        n_startup_trials=options["startup_trials"],
        constant_liar=options["n_jobs"] > 1,  # trials side by side should not be neighbours
    )
    study.pruner = _pruner(options)
    return study


def trial_in(sweep_dir: Path, options: Mapping[str, Any], number: int) -> Trial:
    """A running trial, for the process that trains it."""
    import optuna

    study = optuna.load_study(storage=_storage(sweep_dir), study_name=_name(sweep_dir), pruner=_pruner(options))
    return optuna.Trial(study, study.trials[number]._trial_id)


def _name(sweep_dir: Path) -> str:
    return sweep_dir.name


def _storage(sweep_dir: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    lock: Any = FileLock(sweep_dir / f"{FILE}.lock")  # Optuna's own outlives a process that was killed with it
    return JournalStorage(JournalFileBackend(str(sweep_dir / FILE), lock))


def _pruner(options: Mapping[str, Any]) -> Any:
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=options["prune_after_trials"], n_warmup_steps=options["prune_after_epochs"])


def need_optuna() -> None:
    """Refuse a search where Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError:
        raise Refused('sweep=optuna needs a package: Optuna. Install it by pip install ".[optuna]"') from None


def ended(study: Study) -> list[FrozenTrial]:
    """The trials with a result: complete or pruned."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def result_of(study: Study, params: Mapping[str, Any]) -> FrozenTrial | None:
    """An earlier trial of the same parameters."""
    return next((trial for trial in ended(study) if trial.params == params), None)
