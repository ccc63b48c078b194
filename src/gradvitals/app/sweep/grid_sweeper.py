"""The sweeper that runs every combination of the typed values: Hydra's own, which can also be resumed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.overrides import Overrides
from gradvitals.app.sweep.directory import begin_sweep, pending_jobs, subdir_of
from gradvitals.errors import LostProcess
from gradvitals.results.aggregate import FOLD

FOLDS = "data.folds"


class GridSweeper(BasicSweeper):
    """Runs every combination.

    Args:
        max_batch_size, params: see Hydra's basic sweeper.
        resume: whether to run only the jobs of the sweep's directory that are not over.
    """

    def __init__(
        self, max_batch_size: int | None = None, params: dict[str, str] | None = None, resume: bool = False
    ) -> None:
        super().__init__(max_batch_size, params)
        self.resume = resume

    def sweep(self, arguments: list[str]) -> Any:
        from gradvitals.app.sweep.sweep_summary import watched_sweep  # Hydra imports its plugins in every command

        assert self.config is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        swept = with_every_fold([*self._parse_config(), *arguments], self.config)
        jobs = self.split_arguments(parser.parse_overrides(swept), None)[0]
        self.validate_batch_is_legal(representative(jobs, loader.list_groups("")))
        sweep_dir = begin_sweep(self.config, self.resume)
        pending = pending_jobs(jobs, sweep_dir, subdir_of(self.config)) if self.resume else jobs
        with watched_sweep(sweep_dir, total=len(jobs), pending=len(pending), launcher=self.launcher):
            returns = self._launch(pending)
            lost = sum(job.status is JobStatus.FAILED for batch in returns for job in batch)
            if lost:  # a job that fails by itself has a result
                raise LostProcess(f"{lost} of {len(pending)} jobs were lost; see above")
            return returns

    def _launch(self, jobs: Sequence[Sequence[str]]) -> list[Any]:
        assert self.launcher is not None
        size = self.max_batch_size or len(jobs) or 1
        starts = range(0, len(jobs), size)
        return [self.launcher.launch(jobs[start : start + size], initial_job_idx=start) for start in starts]


def with_every_fold(overrides: Sequence[str], config: DictConfig) -> list[str]:
    """Returns the overrides of a sweep with every fold of ``data.folds``, where none is chosen.

    Args:
        overrides: what is swept, and what all jobs share.
        config: the sweep's, composed without the keys that are swept.

    Example:
        >>> with_every_fold(["data.folds=3"], OmegaConf.create({"data": {"folds": 3, "fold": None}}))
        ['data.folds=3', 'data.fold=range(3)']
    """
    folds, fold = (OmegaConf.select(config, key, default=None) for key in (FOLDS, FOLD))
    chosen = fold is not None or FOLD in Overrides(overrides).keys
    return [*overrides, *([] if chosen or not isinstance(folds, int) else [f"{FOLD}=range({folds})"])]


def representative(jobs: Sequence[Sequence[str]], groups: Collection[str]) -> list[Sequence[str]]:
    """Returns jobs that together choose every option and set every key, so that composing these finds all errors.

    Whether a key can be set depends on options and not on its value, so that one value of it is enough.

    Example:
        >>> representative([["act=elu", "seed=0"], ["act=elu", "seed=1"], ["act=tanh", "seed=0"]], groups=["act"])
        [['act=elu', 'seed=0'], ['act=tanh', 'seed=0']]
    """
    covered: set[str] = set()
    chosen = []
    for job in jobs:
        covers = {word if key in groups else key for key, word in zip(Overrides(job).keys, job, strict=True)}
        if not covered.issuperset(covers):
            covered |= covers
            chosen.append(job)
    return chosen
