"""Writes the results of a cure: ``cure.json``, ``cure.html``, ``cure.png``, and the cured experiment beside them."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

from gradvitals.app.cure.attempts import CureState
from gradvitals.app.cure.experiment_file import without_paths
from gradvitals.app.cure.trial import Trial
from gradvitals.diagnosis.outcome import HEALTHY, UNDECIDED
from gradvitals.formatting import typed
from gradvitals.results.files import write_json

if TYPE_CHECKING:
    from gradvitals.report.pictures.cure import Side

PAGE = "cure.html"


def write_results(state: CureState, run_dir: Path, experiment: Path | None, seconds: float) -> None:
    """Writes the files of a cure into its run directory; the picture only if something was trained at full length."""
    from gradvitals.report.pages.cure_page import FILE, cure_page
    from gradvitals.report.pictures.cure import picture

    found = content(state, experiment, seconds)
    write_json(run_dir / "cure.json", found)
    after = state.cured or next(iter(state.confirmed), None)
    before, cured = _side(state.sick), _side(after.trial) if after else None
    (run_dir / PAGE).write_text(cure_page(found, before, cured), encoding="utf-8")
    if cured and before.profiles:
        titles = (" ".join(found["overrides"]), str(after))
        (run_dir / "cure.png").write_bytes(picture(before, cured, titles))
    if experiment and experiment != run_dir / FILE:
        copyfile(experiment, run_dir / FILE)


def _side(trial: Trial) -> Side:
    from gradvitals.report.pictures.cure import Side

    tags = dict.fromkeys((str(trial.objective), "val/loss"))
    return Side(trial.profiles, {tag: trial.curves[tag] for tag in tags if tag in trial.curves})


def content(state: CureState, experiment: Path | None, seconds: float) -> dict[str, Any]:
    """Returns the content of ``cure.json``."""
    sick, tried = state.sick, {attempt.index: attempt.trial for attempt in state.attempts}
    return {
        "outcome": _outcome(state),
        "overrides": without_paths(state.overrides),
        "verdict": sick.verdict,
        "severity": sick.severity,
        "step": sick.verdict_step,
        "evidence": sick.evidence,
        "advice": sick.advice,
        "sick": effect(sick),
        "usual_lr": state.range_test.lr,
        "remedies": [
            asdict(remedy)
            | {
                "typed": tried[i].overrides if i in tried else None,
                "effect": effect(tried[i]) if i in tried else None,
            }
            for i, remedy in enumerate(state.remedies)
        ],
        "confirmed": [{"overrides": a.remedy.overrides, "effect": effect(a.trial)} for a in state.confirmed],
        "cured": state.cured.remedy.overrides if state.cured else None,
        "experiment": _name(experiment),
        "command": command_of(state, experiment),
        "steps_planned": sick.steps_planned,
        "steps": state.steps,
        "cost": state.cost,
        "seconds": {**state.seconds, "all": seconds},
    }


def _outcome(state: CureState) -> str:
    of_the_verdict = {HEALTHY: "nothing to cure", UNDECIDED: "undecided"}.get(str(state.sick.verdict))
    return of_the_verdict or ("cured" if state.cured else "not cured")


def _name(experiment: Path | None) -> str | None:
    """The option of the group ``experiment``; None for a file in a run directory, which is no option."""
    return f"cured/{experiment.stem}" if experiment and experiment.parent.name == "cured" else None


def command_of(state: CureState, experiment: Path | None) -> str | None:
    """Returns what runs the cured config; for an undecided run, a longer one that decides it."""
    if state.longer:
        return typed("cure", state.longer)
    if name := _name(experiment):
        return typed("train", [f"experiment={name}"])
    return typed("train", without_paths(state.cured.trial.overrides)) if state.cured and experiment else None


def effect(trial: Trial) -> dict[str, Any]:
    """Returns the results of a training, as ``cure.json`` has them."""
    return {
        "status": trial.status,
        "verdict": trial.verdict,
        "reason": trial.reason,
        "objective": trial.objective and trial.objective.tag,
        "best": trial.best,
        "learnt": trial.progress if math.isfinite(trial.progress) else None,
        "metrics": trial.metrics,
        "steps": trial.steps,
        "seconds": trial.seconds,
    }
