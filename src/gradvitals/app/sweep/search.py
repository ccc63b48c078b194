"""Search by Optuna: each next trial by what the ones before have shown.

Hydra's own Optuna sweeper is held at an Optuna whose storages no longer work; this one asks Optuna itself, and leaves
the running to Hydra's launchers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig

from gradvitals.app.sweep.claim import claim
from gradvitals.app.sweep.space import Space, space_of
from gradvitals.app.sweep.study import PRUNED, ended, need_optuna, open_study, result_of
from gradvitals.app.sweep.to_do import attempts, in_subdir, subdir_of
from gradvitals.report.records import Record, read
from gradvitals.report.sweep import UNFINISHED, is_loss, objective_tag, worst

if TYPE_CHECKING:
    from optuna import Study, Trial

REPEATS = 50  # draws in a row of what is known already, after which the space counts as searched


class SearchSweeper(Sweeper):
    """Asks Optuna's tree-structured Parzen estimator (Bergstra et al., 2011) for trials and tells it their results.

    Args:
        params: key -> values to search, in Hydra's words; see :func:`gradvitals.app.sweep.space.space_of`.
        options: the other keys of ``conf/hydra/sweeper/optuna.yaml``.
    """

    def __init__(self, params: dict[str, str] | None = None, **options: Any) -> None:
        self.params, self.options = dict(params or {}), options

    def setup(self, *, hydra_context: Any, task_function: Any, config: DictConfig) -> None:
        """Hydra's call: who launches, and with what."""
        self._config: DictConfig = config
        self._loader = hydra_context.config_loader
        self._launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        """Search until the number of trials is reached."""
        from gradvitals.app.sweep.attend import attended  # as in the grid

        need_optuna()
        parser = OverridesParser.create(config_loader=self._loader)
        typed = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        space, shared = space_of(parser.parse_overrides(typed))
        sweep_dir = Path(self._config.hydra.sweep.dir)
        claim(sweep_dir, self._config, self.options["resume"])
        study = open_study(sweep_dir, self.options, self._direction())
        self._take_up(study, shared, sweep_dir)
        total = self.options["n_trials"]
        with attended(sweep_dir, total, max(total - len(ended(study)), 0), lambda: figures(study)):
            self._search(study, space, shared)

    def _direction(self) -> Literal["maximize", "minimize"]:
        return "minimize" if is_loss(str(self._config.objective)) else "maximize"

    def _take_up(self, study: Study, shared: Sequence[str], sweep_dir: Path) -> None:
        """Tell the study of what ended while nobody listened, and queue what was lost or failed again, each once."""
        from optuna.trial import TrialState

        made = attempts(sweep_dir)
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            tried = made.get(tuple(_words(trial.params, shared)), [])
            tell(study, trial.number, tried[-1] if tried else None, self._config.objective)
        queued = [trial.system_attrs.get("fixed_params") for trial in study.get_trials(states=(TrialState.WAITING,))]
        for trial in study.get_trials(states=(TrialState.FAIL,)):
            if trial.params and trial.params not in queued and result_of(study, trial.params) is None:
                study.enqueue_trial(trial.params)
                queued.append(trial.params)

    def _search(self, study: Study, space: Space, shared: Sequence[str]) -> None:
        left = self.options["n_trials"] - len(ended(study))
        while left > 0:
            trials = [t for t in (_ask(study, space) for _ in range(min(left, self.options["n_jobs"]))) if t]
            if not trials:
                return
            jobs = [self._job(trial, shared) for trial in trials]
            returns: Sequence[Any] = self._launcher.launch(jobs, initial_job_idx=trials[0].number)
            for trial, job in zip(trials, returns, strict=True):
                ran = read(Path(job.hydra_cfg.hydra.runtime.output_dir))
                tell(study, trial.number, ran, self._config.objective)
            left -= len(trials)

    def _job(self, trial: Trial, shared: Sequence[str]) -> list[str]:
        place = in_subdir(subdir_of(self._config), trial.number)
        return [*_words(trial.params, shared), place, f"hydra.sweeper.trial={trial.number}"]


def _words(params: Mapping[str, Any], shared: Sequence[str]) -> list[str]:
    """What is typed for a trial."""
    return [*shared, *(f"{key}={_word(value)}" for key, value in params.items())]


def _word(value: Any) -> str:
    """A value as one types it; of a drawn rate four digits say enough."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _ask(study: Study, space: Space) -> Trial | None:
    """The next trial of something new; None where nothing new comes any more."""
    for _ in range(REPEATS):
        trial = study.ask(space)
        before = result_of(study, trial.params)
        if before is None:
            return trial
        study.tell(trial, state=before.state, values=before.values)
    return None


def tell(study: Study, number: int, ran: Record | None, objective: str) -> None:
    """Tell the study how a trial has ended: with a value, pruned, or without a result."""
    from optuna.trial import TrialState

    if ran is None or ran.status in UNFINISHED:
        study.tell(number, state=TrialState.FAIL)
    elif study.trials[number].user_attrs.get(PRUNED):
        study.tell(number, state=TrialState.PRUNED)
    else:
        tag = objective_tag(ran.result["metrics"], objective)
        value = None if ran.status == "diverged" or tag is None else ran.metric(tag)
        study.tell(number, worst(tag) if value is None else value)


def figures(study: Study) -> list[tuple[str, dict[str, Any]]]:
    """Optuna's own pictures of the search: its history, and which keys decide."""
    import warnings

    from optuna import visualization

    plots: dict[str, Callable[..., Any]] = {
        "Search history": visualization.plot_optimization_history,
        "What decides (importance by fANOVA)": visualization.plot_param_importances,
        "Every trial": visualization.plot_parallel_coordinate,
    }
    found = []
    for heading, plot in plots.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of experimental parts
                figure = plot(study)
        except (ValueError, RuntimeError):  # too few trials ended
            continue
        found.append((heading, json.loads(figure.to_json())))
    return found
