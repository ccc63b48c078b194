"""Search by Optuna: it chooses each next trial by the results of those before.

Hydra's own Optuna sweeper needs an old version of Optuna whose storages no longer work; this one asks Optuna itself,
and lets Hydra's launchers run the trials.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig
from optuna import Study, Trial, visualization
from optuna.trial import FrozenTrial, TrialState

from gradvitals.app.sweep.directory import attempts, begin_sweep, in_subdir, subdir_of
from gradvitals.app.sweep.optuna_study import (
    PRUNED,
    WORKER,
    as_logged,
    ended,
    given_out,
    objective_of,
    open_study,
    oriented,
    queued,
    reseed,
    result_of,
    running,
)
from gradvitals.app.sweep.search_space import Space, space_of
from gradvitals.app.sweep.sweep_summary import Figures, resume_command, watched_sweep
from gradvitals.app.sweep.workers import at_work, is_at_work, one_at_a_time
from gradvitals.results.objective import UNKNOWN_WORST, Objective
from gradvitals.results.record import Record, read, without_run_keys

REPEATS = 50  # after so many draws in a row of known parameters the space counts as searched
PLOTS: dict[str, Callable[[Study], Any]] = {
    "Search history": visualization.plot_optimization_history,
    "What decides (importance by fANOVA)": visualization.plot_param_importances,
    "Every trial": visualization.plot_parallel_coordinate,
}


class SearchSweeper(Sweeper):
    """Asks Optuna's tree-structured Parzen estimator (Bergstra et al., 2011) for trials and reports their results.

    Args:
        params: key -> values to search, in Hydra's syntax; see :func:`gradvitals.app.sweep.search_space.space_of`.
        options: the other keys of ``conf/hydra/sweeper/optuna.yaml``.
    """

    def __init__(self, params: dict[str, str] | None = None, **options: Any) -> None:
        self.params, self.options = dict(params or {}), options
        self._name: str | None = None  # as a worker

    def setup(self, *, hydra_context: Any, task_function: Any, config: DictConfig) -> None:
        self._config: DictConfig = config
        self._loader = hydra_context.config_loader
        self._launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        parser = OverridesParser.create(config_loader=self._loader)
        typed = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        space, shared = space_of(parser.parse_overrides(typed))
        sweep_dir = begin_sweep(self._config, self.options["resume"] or self.options["join"])
        asked = str(self._config.objective), str(self._config.objective_mode)
        study = open_study(sweep_dir, self.options, direction(*asked))
        if not self.options["join"]:
            with one_at_a_time(sweep_dir):
                self._take_up(study, shared, sweep_dir)
        total = self.options["n_trials"]
        pending, turn = max(total - len(ended(study)), 0), one_at_a_time(sweep_dir)
        watch = watched_sweep(sweep_dir, total, pending, self._launcher, lambda: figures(study), turn)
        with at_work(sweep_dir) as self._name, watch:
            self._search(study, space, shared)
        if line := in_hand(study, sweep_dir):
            print(line, flush=True)

    def _take_up(self, study: Study, shared: Sequence[str], sweep_dir: Path) -> None:
        """Reports the results of trials whose worker is gone, and queues those without one again, each once."""
        made = attempts(sweep_dir)
        for trial in _lost(study, sweep_dir):
            tried = made.get(tuple(without_run_keys(_overrides(trial.params, shared))), [])
            tell(study, trial.number, tried[-1] if tried else None)
        known = queued(study) + [trial.params for trial in running(study)]
        for trial in study.get_trials(states=(TrialState.FAIL,)):
            if trial.params and trial.params not in known and result_of(study, trial.params) is None:
                study.enqueue_trial(trial.params)
                known.append(trial.params)

    def _search(self, study: Study, space: Space, shared: Sequence[str]) -> None:
        while trials := self._next(study, space):
            jobs = [self._job(trial, shared) for trial in trials]
            returns: Sequence[Any] = self._launcher.launch(jobs, initial_job_idx=trials[0].number)
            for trial, job in zip(trials, returns, strict=True):
                tell(study, trial.number, read(Path(job.hydra_cfg.hydra.runtime.output_dir)))

    def _next(self, study: Study, space: Space) -> list[Trial]:
        with one_at_a_time(Path(self._config.hydra.sweep.dir)):
            reseed(study, self.options)
            left = self.options["n_trials"] - given_out(study)
            asked = [_ask(study, space) for _ in range(min(left, self.options["n_jobs"]))]
            trials = [trial for trial in asked if trial is not None]
            for trial in trials:
                trial.set_user_attr(WORKER, self._name)
        return trials

    def _job(self, trial: Trial, shared: Sequence[str]) -> list[str]:
        place = in_subdir(subdir_of(self._config), trial.number)
        return [*_overrides(trial.params, shared), place, f"hydra.sweeper.trial={trial.number}"]


def direction(tag: str, mode: str) -> Literal["maximize", "minimize"]:
    """Returns the direction of a study that has no trial yet.

    Example:
        >>> direction("val/mae", "auto"), direction("auto", "min"), direction("auto", "auto")
        ('minimize', 'minimize', 'maximize')
    """
    objective = Objective.resolve((), tag, mode)
    return "minimize" if (objective.mode if objective else mode) == "min" else "maximize"


def _lost(study: Study, sweep_dir: Path) -> list[FrozenTrial]:
    return [trial for trial in running(study) if not is_at_work(sweep_dir, trial.user_attrs.get(WORKER))]


def in_hand(study: Study, sweep_dir: Path) -> str:
    """Returns what a worker that has nothing left to do reports of the others' trials."""
    if lost := len(_lost(study, sweep_dir)):
        return f"lost         trials whose worker is gone: {lost}. {resume_command(sweep_dir)}"
    others = len(running(study))
    return f"in hand      trials of other workers: {others}. The last worker sums up all" if others else ""


def _overrides(params: Mapping[str, Any], shared: Sequence[str]) -> list[str]:
    """The overrides of a trial; four digits of a drawn number are enough."""
    shown = {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in params.items()}
    return [*shared, *(f"{key}={value}" for key, value in shown.items())]


def _ask(study: Study, space: Space) -> Trial | None:
    """The next trial with new parameters; None where none come any more."""
    for _ in range(REPEATS):
        theirs = [trial.params for trial in running(study)]
        trial = study.ask(space)
        before = result_of(study, trial.params)
        if before is not None:
            study.tell(trial, state=before.state, values=before.values)
        elif trial.params in theirs:
            study.tell(trial, state=TrialState.FAIL)
        else:
            return trial
    return None


def tell(study: Study, number: int, ran: Record | None) -> None:
    """Reports to the study how a trial has ended: with a value, pruned, or without a result."""
    if ran is None or not ran.status.is_over:
        study.tell(number, state=TrialState.FAIL)
    elif study.trials[number].user_attrs.get(PRUNED):
        study.tell(number, state=TrialState.PRUNED)
    else:
        study.tell(number, _value(study, ran))


def _value(study: Study, ran: Record) -> float:
    """A run's value as the study compares it; a finite penalty where it diverged or has none."""
    objective = objective_of(study, ran.objective)
    if objective is None:  # not even its name is known yet, and a study of objective=auto maximizes
        return UNKNOWN_WORST
    value = ran.result.value_of(objective)
    return oriented(study, objective, objective.worst if value is None else value)


def figures(study: Study) -> Figures:
    """Returns Optuna's own pictures of a search: its history, and which keys decide; none before enough trials."""
    found, shown = [], as_logged(study)
    for heading, plot in PLOTS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of experimental parts
                found.append((heading, json.loads(plot(shown).to_json())))
        except (ValueError, RuntimeError):  # too few trials ended
            continue
    return found
