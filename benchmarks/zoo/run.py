"""One network trained and judged, by us and by the rules of others."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from record import Record
from rivals import RIVALS

from gradvitals.app.config.compose import compose_run_config
from gradvitals.app.config.conf_folder import PACKAGED
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.cure.trial import run_trial, silence

# Nothing is saved, and validation comes once, at the end: what takes time is the training.
BARE = ("logger=none", "callbacks=none", "trainer=cpu", "trainer.num_sanity_val_steps=0", "test=last", "threads=1")


def train(overrides: Sequence[str], rivals: bool = False) -> dict[str, Any]:
    """Train what is typed; a row of the table as plain values."""
    from lightning import seed_everything

    from gradvitals.app.run.assemble import assemble

    with silence():
        settings = _settings(overrides)
        seed_everything(settings["seed"], workers=True, verbose=False)
        run, record = assemble(settings), Record()
        if rivals:
            run.trainer.callbacks.append(record)
        began = time.perf_counter()
        run.trainer.fit(run.model, datamodule=run.data)
        seconds = time.perf_counter() - began
        accuracy = run.trainer.test(run.model, datamodule=run.data, verbose=False)[0]["test/acc"]
    monitor = run.monitor
    found = monitor.diagnosis
    return {
        "overrides": list(overrides),
        "accuracy": accuracy,
        "verdict": found.verdict,
        "step": found.step,
        "steps": run.trainer.global_step,
        "evidence": str(found),
        "broken_at": monitor.non_finite[0] if monitor.non_finite else None,
        "seconds": seconds,
        "rivals": {rival.name: _alarm(rival.examine(record.history)) for rival in RIVALS} if rivals else {},
    }


def _alarm(alarm: Any) -> dict[str, Any] | None:
    return {"verdict": alarm.verdict, "step": alarm.step} if alarm else None


def _settings(overrides: Sequence[str]) -> RunConfig:
    epochs = next(word.partition("=")[2] for word in overrides if word.startswith("trainer.max_epochs="))
    return compose_run_config([*BARE, *overrides, f"trainer.check_val_every_n_epoch={epochs}"], Path("unused"))


def is_sick(accuracy: float, healthy: float, best_remedy: float | None) -> str:
    """``healthy``, ``sick``, ``limited`` (no remedy reaches what healthy nets do) or ``not counted``.

    Example:
        >>> is_sick(0.5, 1.0, 0.97), is_sick(0.5, 1.0, 0.8), is_sick(0.92, 1.0, 0.99), is_sick(0.96, 1.0, None)
        ('sick', 'limited', 'not counted', 'healthy')
    """
    if accuracy >= 0.95 * healthy:
        return "healthy"
    if best_remedy is not None and best_remedy < 0.95 * healthy:
        return "limited"
    return "sick" if accuracy < 0.9 * healthy or math.isnan(accuracy) else "not counted"


def cure(overrides: Sequence[str]) -> dict[str, Any]:
    """Cures a config as ``src/cure.py`` does, one trial after the other; returns a row of the table."""
    from gradvitals.app.cure.attempts import CureState
    from gradvitals.app.cure.cure import remedies_for
    from gradvitals.app.cure.options import CureOptions
    from gradvitals.app.cure.search import search

    options = CureOptions(share=0.1, least_steps=100, enough=0.75, confirmations=2, workers=1)
    sick = run_trial(overrides)
    state = CureState(list(overrides), sick)
    if sick.verdict != "healthy":
        state.remedies = remedies_for(state, compose_run_config(overrides, Path("unused")), PACKAGED)
        search(state, options, PACKAGED)
    best = state.cured or next(iter(state.confirmed), None)
    full = best.trial if best else sick
    seconds = sum(state.seconds.values())
    pace = full.seconds / full.steps
    return {
        "overrides": list(overrides),
        "verdict": sick.verdict,
        "remedy": list(best.remedy.overrides) if best else [],
        "says_cured": state.cured is not None,
        "accuracy": full.metrics["val/acc"]["final"],  # both sets validate on what they test on
        "cost": state.cost,
        "relative_seconds": seconds / (pace * (sick.steps_planned or 1)),
    }
