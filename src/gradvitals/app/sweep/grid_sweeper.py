"""Every combination of the typed values: Hydra's own sweeper, which can also go on where an earlier one was ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from gradvitals.app.sweep.directory import claim_directory, pending_jobs, pin_down, subdir_of
from gradvitals.results.objective import AUTO, warn_if_guessed


class GridSweeper(BasicSweeper):
    """Runs every combination.

    Args:
        max_batch_size, params: as of Hydra's basic sweeper.
        resume: go on in the sweep's directory with what is missing or failed.
    """

    def __init__(
        self, max_batch_size: int | None = None, params: dict[str, str] | None = None, resume: bool = False
    ) -> None:
        super().__init__(max_batch_size, params)
        self.resume = resume

    def sweep(self, arguments: list[str]) -> Any:
        """Launch the jobs; each leaves its result in its directory."""
        from gradvitals.app.sweep.summary import (
            watched_sweep,  # Hydra imports its plugins at every command: this can wait
        )

        assert self.config is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        jobs = self.split_arguments(parser.parse_overrides([*self._parse_config(), *arguments]), None)[0]
        self.validate_batch_is_legal(telling(jobs, self.hydra_context.config_loader.list_groups("")))
        sweep_dir = Path(self.config.hydra.sweep.dir)
        claim_directory(sweep_dir, self.config, self.resume)
        pin_down(self.config)
        warn_if_guessed(*(str(self.config.get(key, AUTO)) for key in ("objective", "objective_mode")))
        waiting = pending_jobs(jobs, sweep_dir, subdir_of(self.config)) if self.resume else jobs
        with watched_sweep(sweep_dir, total=len(jobs), waiting=len(waiting)):
            return self._launch(waiting)

    def _launch(self, jobs: Sequence[Sequence[str]]) -> list[Any]:
        assert self.launcher is not None
        size = self.max_batch_size or len(jobs) or 1
        batches = [(start, jobs[start : start + size]) for start in range(0, len(jobs), size)]
        return [self.launcher.launch(batch, initial_job_idx=start) for start, batch in batches]


def telling(jobs: Sequence[Sequence[str]], groups: Collection[str]) -> list[Sequence[str]]:
    """Jobs that together choose every option and set every key: composing these finds what the others would.

    Whether a key can be set depends on options, not on its value, so that one value of it is enough.

    Example:
        >>> telling([["act=elu", "seed=0"], ["act=elu", "seed=1"], ["act=tanh", "seed=0"]], groups=["act"])
        [['act=elu', 'seed=0'], ['act=tanh', 'seed=0']]
    """
    said: set[str] = set()
    chosen = []
    for job in jobs:
        keys = [word.lstrip("+").partition("=")[0] for word in job]
        says = {word if key in groups else key for key, word in zip(keys, job, strict=True)}
        if not said.issuperset(says):
            said |= says
            chosen.append(job)
    return chosen
