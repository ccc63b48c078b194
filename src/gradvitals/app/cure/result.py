"""The cure's result file, and the effect that it reports."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gradvitals.app.cure.attempts import Cure
from gradvitals.app.cure.experiment_file import shown
from gradvitals.app.cure.trial import Trial
from gradvitals.formatting import train_command
from gradvitals.results.files import write_json


def write(done: Cure, run_dir: Path, file: Path | None, seconds: float) -> None:
    """Write ``cure.json``, ``cure.md`` and, where something was tried at full length, ``cure.png``."""
    from gradvitals.report.pictures.cure import picture
    from gradvitals.report.tables.cure import page

    found = content(done, file, seconds)
    write_json(run_dir / "cure.json", found)
    (run_dir / "cure.md").write_text(page(found), encoding="utf-8")
    if done.confirmed and done.sick.profiles:
        after = (done.cured or done.confirmed[0]).trial
        titles = (" ".join(shown(done.overrides)), str(done.cured or done.confirmed[0]))
        (run_dir / "cure.png").write_bytes(picture(side(done.sick), side(after), titles))


def side(trial: Trial) -> dict[str, Any]:
    """Of a training, what the picture shows."""
    tags = [tag for tag in dict.fromkeys((str(trial.objective), "val/loss")) if tag in trial.curves]
    return {"profiles": trial.profiles, "curves": {tag: trial.curves[tag] for tag in tags}}


def content(done: Cure, file: Path | None, seconds: float) -> dict[str, Any]:
    """What ``cure.json`` holds."""
    healthy = done.sick.verdict == "healthy"
    effects = {tried.index: effect(tried.trial) for tried in done.tried}
    typed = {tried.index: list(tried.trial.overrides) for tried in done.tried}
    return {
        "outcome": "nothing to cure" if healthy else "cured" if done.cured else "not cured",
        "overrides": shown(done.overrides),
        "verdict": done.sick.verdict,
        "severity": done.sick.severity,
        "step": done.sick.verdict_step,
        "evidence": done.sick.evidence,
        "sick": effect(done.sick),
        "usual_lr": done.usual_lr,
        "remedies": [
            {
                "overrides": list(remedy.overrides),
                "why": remedy.why,
                "source": remedy.source,
                "typed": typed.get(i),
                "effect": effects.get(i),
            }
            for i, remedy in enumerate(done.remedies)
        ],
        "confirmed": [{"overrides": list(t.remedy.overrides), "effect": effect(t.trial)} for t in done.confirmed],
        "cured": list(done.cured.remedy.overrides) if done.cured else None,
        "experiment": f"cured/{file.stem}" if file else None,
        "command": train_command([f"experiment=cured/{file.stem}"]) if file else None,
        "steps_planned": done.sick.steps_planned,
        "steps": done.steps,
        "cost": done.cost,
        "seconds": {**done.seconds, "all": seconds},
    }


def effect(trial: Trial) -> dict[str, Any]:
    """What came of a training, for ``cure.json``."""
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
