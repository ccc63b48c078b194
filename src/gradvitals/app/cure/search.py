"""The search for a cure: remedies one by one, then together, in parallel workers."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.app.cure.attempts import Cure, Tried, _value, is_cured, rank, words
from gradvitals.app.cure.trial import Trial, run_trial
from gradvitals.errors import ConfigError

log = logging.getLogger(__name__)
WORKER_START = 20.0  # seconds until new processes have imported torch and lightning, on a busy machine
FEW_STEPS = 20  # whose time is that of starting a fit, and says nothing of the pace


def search(done: Cure, options: Mapping[str, Any], conf: Path) -> None:
    """Try the remedies and confirm the best, until one is cured.

    Args:
        done: what is known so far; takes in all that comes.
        options: the keys of ``cure``.
        conf: the folder of the configs.

    Raises:
        Refused: the length of a full training is not known.
    """
    planned = done.sick.steps_planned
    if planned is None:
        raise ConfigError("cure: needs to know the full length: set trainer.max_epochs or trainer.max_steps")
    budget = min(max(math.ceil(options["share"] * planned), options["least_steps"]), planned)
    trials = try_all(done, budget, options, conf)
    while done.cured is None and len(done.confirmed) < options["confirmations"]:
        best = _next(done, trials, options["enough"])
        if best is None:
            return
        confirm(done, best, conf)


def _next(done: Cure, trials: Iterator[list[Tried]], enough: float | None) -> Tried | None:
    """The best that is not confirmed yet; more are tried where none of these is good enough."""
    known = {tried.index for tried in done.confirmed}
    while not any(good_enough(tried.trial, enough) for tried in done.tried if tried.index not in known):
        batch = next(trials, [])
        done.tried += batch
        if not batch:
            break
    ranked = rank([tried for tried in done.tried if tried.index not in known])
    return ranked[0] if ranked else None


def good_enough(trial: Trial, enough: float | None) -> bool:
    """Whether a trial has learnt so much that no larger change need be tried."""
    return enough is not None and trial.is_healthy and trial.progress >= enough


def try_all(done: Cure, budget: int, options: Mapping[str, Any], conf: Path) -> Iterator[list[Tried]]:
    """The trials of all remedies, as many at a time as there are workers; a line is logged for each."""
    workers = count_workers(options["workers"], done, budget)
    total, began = len(done.remedies), time.perf_counter()
    log.info(f"remedies     {total}, {budget} of {done.sick.steps_planned} steps each, workers: {workers}")
    for start in range(0, total, workers):
        batch = list(enumerate(done.remedies))[start : start + workers]
        runs = [(with_remedy(done.overrides, remedy.overrides, conf), budget, conf) for _, remedy in batch]
        found = [Tried(i, remedy, trial) for (i, remedy), trial in zip(batch, _run(runs, workers), strict=True)]
        for tried in found:
            left = (time.perf_counter() - began) / (start + len(found)) * (total - start - len(found))
            log.info(f"  {tried.index + 1}/{total}  {tried}: {words(tried.trial)}; the others: at most {left:.0f} s")
        yield found


def count_workers(workers: int | str, done: Cure, budget: int) -> int:
    """How many processes; ``auto``: this one alone where all trials take less time than starting others."""
    from joblib import cpu_count

    if workers != "auto":
        return min(int(workers), len(done.remedies)) or 1
    if done.sick.steps < FEW_STEPS:
        return 1
    most = min(cpu_count(), len(done.remedies))
    alone = len(done.remedies) * budget * done.sick.seconds / max(done.sick.steps, 1)
    return most if most > 1 and alone * (1 - 1 / most) > WORKER_START else 1


def _run(runs: Sequence[tuple[list[str], int, Path]], workers: int) -> list[Trial]:
    """Trials in worker processes with one thread each, or one after the other in this one."""
    if workers == 1:
        return [_try(*run) for run in runs]
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", n_jobs=workers, inner_max_num_threads=1):
        return Parallel()(delayed(_try)(*run, threads=1) for run in runs)


def _try(overrides: list[str], budget: int, conf: Path, threads: int | None = None) -> Trial:
    return run_trial(overrides, max_steps=budget, threads=threads, conf=conf)


def confirm(done: Cure, best: Tried, conf: Path) -> None:
    """Train the best trial at full length from scratch, and see whether it is cured.

    A trial whose budget was the full length is that training already.
    """
    full, planned = best.trial, done.sick.steps_planned
    if not (full.status == "completed" and full.steps == planned):
        pace = full.seconds / full.steps if full.steps else 0.0
        log.info(f"confirm      {best} at full length, about {pace * (planned or 0):.0f} s")
        best = replace(best, trial=run_trial(full.overrides, conf=conf))
    done.confirmed.append(best)
    if is_cured(done.sick, best.trial):
        done.cured = best
    else:
        log.info(f"not cured    {best}: {words(best.trial)}; the sick run: {_value(done.sick)}")
