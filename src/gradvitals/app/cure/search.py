"""The search for a cure: short trials of the remedies, in parallel worker processes, then the best at full length."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.app.cure.attempts import Attempt, CureState, is_cured, most_promising
from gradvitals.app.cure.options import CureOptions
from gradvitals.app.cure.trial import Trial, run_trial
from gradvitals.errors import ConfigError

log = logging.getLogger(__name__)
WORKER_START = 20.0  # seconds until new processes have imported torch and Lightning, on a busy machine
FEW_STEPS = 20  # whose time is mostly that of starting a fit, and says little about the pace


def search(state: CureState, options: CureOptions, conf: Path) -> None:
    """Tries the remedies and confirms the best, until one is cured or the options allow no more.

    Raises:
        ConfigError: the length of a full training is unknown.
    """
    planned = state.sick.steps_planned
    if planned is None:
        raise ConfigError("cure: needs to know the full length: set trainer.max_epochs or trainer.max_steps")
    budget = min(max(math.ceil(options.share * planned), options.least_steps), planned)
    batches = _try_in_batches(state, budget, options.workers, conf)
    while state.cured is None and len(state.confirmed) < options.confirmations:
        best = _next(state, batches, options.enough)
        if best is None:
            return
        _confirm(state, best, conf)


def _next(state: CureState, batches: Iterator[list[Attempt]], enough: float | None) -> Attempt | None:
    """The best unconfirmed attempt; larger changes are tried only as long as no attempt is good enough."""
    least = math.inf if enough is None else enough
    while not any(one.trial.is_promising and one.trial.progress >= least for one in state.unconfirmed):
        batch = next(batches, None)
        if batch is None:
            break
        state.attempts += batch
    return most_promising(state.unconfirmed) if state.unconfirmed else None


def _try_in_batches(state: CureState, budget: int, workers: int | str, conf: Path) -> Iterator[list[Attempt]]:
    workers = count_workers(workers, state, budget)
    total, began = len(state.remedies), time.perf_counter()
    log.info(f"remedies     {total}, {budget} of {state.sick.steps_planned} steps each, workers: {workers}")
    for start in range(0, total, workers):
        remedies = state.remedies[start : start + workers]
        trials = run_trials([with_remedy(state.overrides, r.overrides, conf) for r in remedies], budget, workers, conf)
        batch = [Attempt(start + i, *pair) for i, pair in enumerate(zip(remedies, trials, strict=True))]
        done = start + len(batch)
        left = (time.perf_counter() - began) / done * (total - done)
        for attempt in batch:
            log.info(f"  {attempt.index + 1}/{total}  {attempt}: {attempt.trial}; remaining: at most {left:.0f} s")
        yield batch


def count_workers(workers: int | str, state: CureState, budget: int) -> int:
    """Returns the number of processes; for ``auto`` 1 if the start of others takes longer than they save."""
    from joblib import cpu_count

    remedies, sick = len(state.remedies), state.sick
    if workers != "auto":
        return min(int(workers), remedies) or 1
    if sick.steps < FEW_STEPS:
        return 1
    most = min(cpu_count(), remedies)
    alone = remedies * budget * sick.seconds / sick.steps
    return most if most > 1 and alone * (1 - 1 / most) > WORKER_START else 1


def run_trials(configs: Sequence[Sequence[str]], budget: int, workers: int, conf: Path) -> list[Trial]:
    """Returns a trial of each config, in worker processes with one thread each, or one after the other in this one."""
    if workers == 1:
        return [run_trial(overrides, max_steps=budget, conf=conf) for overrides in configs]
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", n_jobs=workers, inner_max_num_threads=1):
        return Parallel()(delayed(run_trial)(words, max_steps=budget, threads=1, conf=conf) for words in configs)


def _confirm(state: CureState, best: Attempt, conf: Path) -> None:
    trial, planned = best.trial, state.sick.steps_planned
    if not (trial.status == "completed" and trial.steps == planned):
        pace = trial.seconds / trial.steps if trial.steps else 0.0
        log.info(f"confirm      {best} at full length, about {pace * (planned or 0):.0f} s")
        best = replace(best, trial=run_trial(trial.overrides, conf=conf))
    state.confirmed.append(best)
    if is_cured(state.sick, best.trial):
        state.cured = best
    else:
        log.info(f"not cured    {best}: {best.trial}; the sick run: {state.sick.best_text}")
