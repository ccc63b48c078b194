"""What a run writes when it ends: result.json and vitals.json."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.assemble import Run
from gradvitals.callbacks.gradient_vitals import GradientVitals
from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.profile import profile
from gradvitals.diagnosis.remedies import Net, prescribe
from gradvitals.formatting import short
from gradvitals.results.files import write_json
from gradvitals.results.objective import Objective, is_loss
from gradvitals.results.provenance import git_commit, versions
from gradvitals.results.record import RUN_KEYS
from gradvitals.results.result import FirstNonFinite, MetricSummary, Parameters, Result
from gradvitals.results.status import Status
from gradvitals.signal_propagation.reading import content
from gradvitals.vitals import count

log = logging.getLogger(__name__)

LAYER_NUMBERS = (
    "grad_norm",
    "grad_norm_clipped",
    "grad_norm_corrected",
    "activation_grad_norm",
    "dead_fraction",
    "saturated_fraction",
    "update_ratio",
)
CHOICES = ("model", "act", "init", "optimizer", "clip")


def result(run: Run, config: RunConfig, interrupted: bool = False, failure: str | None = None) -> Result:
    """Returns what a run came to.

    Args:
        run: that ended.
        config: of the run.
        interrupted: whether a signal ended it.
        failure: the error that ended it.
    """
    history, monitor, counted = run.history, run.monitor, count(run.model)
    return Result(
        Status.FAILED if failure else status(run, interrupted),
        failure or _ended_because(run),
        verdict=monitor.diagnosis.verdict if monitor else None,
        overrides=list(config.overrides.without(*RUN_KEYS)),
        seed=config["seed"],
        weights=str(run.start.weights) if run.start.weights else config["weights"],
        metrics={tag: MetricSummary(**found) for tag, found in history.metrics.items() if not tag.startswith("lr-")},
        objective=Objective.resolve(history.metrics, config["objective"], config["objective_mode"]),
        steps=run.trainer.global_step,
        epochs=run.trainer.current_epoch,
        seconds=history.seconds,
        samples_per_second=history.samples / history.loop_seconds if history.loop_seconds else None,
        clipped_fraction=monitor.clipped_fraction if monitor else None,
        skipped_steps=monitor.skipped_steps if monitor else 0,
        non_finite=FirstNonFinite(*monitor.non_finite) if monitor and monitor.non_finite else None,
        parameters=Parameters(counted.trained, counted.frozen, counted.statistics),
        versions=versions(),
        git=git_commit(),
    )


def _ended_because(run: Run) -> str | None:
    """Why a search ended its trial early."""
    callbacks = run.trainer.callbacks  # type: ignore[attr-defined]
    return next((callback.ended_because for callback in callbacks if hasattr(callback, "ended_because")), None)


def status(run: Run, interrupted: bool = False) -> Status:
    """Returns how a run ended that did not fail; diverged: with a loss that is not finite."""
    if interrupted:
        return Status.INTERRUPTED
    if any(is_loss(tag) and values["final"] is None for tag, values in run.history.metrics.items()):
        return Status.DIVERGED
    monitor = run.monitor
    if monitor is not None and monitor.non_finite and monitor.settings.on_non_finite == "stop":
        return Status.DIVERGED
    return Status.STOPPED if run.trainer.should_stop else Status.COMPLETED


def mark_unfinished(run_dir: Path) -> None:
    """Marks a completed run that is resumed as interrupted, which it is should it be killed."""
    known = Result.read(run_dir)
    if known.status is not Status.MISSING:
        replace(known, status=Status.INTERRUPTED, reason=None).write(run_dir)


def write(result: Result, run: Run, config: RunConfig, run_dir: Path) -> str | None:
    """Writes ``result.json``, and ``vitals.json`` where there is a monitor; returns what went wrong with that."""
    monitor = run.monitor
    try:
        run_dir.mkdir(parents=True, exist_ok=True)  # it may have vanished since
        result.write(run_dir)
        if monitor is not None and monitor.layers:  # none before the first measured step
            write_json(run_dir / "vitals.json", vitals(monitor, net_of(config, run.decided)))
    except OSError as error:
        return f"cannot write the results to {short(run_dir)}: {error.strerror}. What was saved before is whole"
    return None


def net_of(config: RunConfig, decided: tuple[str, ...] = ()) -> Net:
    """Returns what remedies depend on.

    Args:
        config: of the run.
        decided: the groups that the user's own network decides; see
            :func:`gradvitals.app.run.build_model.decided_by`.
    """
    model, act, init, optimizer, clip = (config.choices.get(key) or "" for key in CHOICES)
    numbers = {"lr": config["optimizer"].get("lr", 0.0), "gain": config["init"].get("gain", 1.0)}
    return Net(model, act, init, optimizer, clip, **numbers, scaling=config["data"].get("scaling"), fixed=decided)


def vitals(monitor: GradientVitals, net: Net) -> dict[str, Any]:
    """Returns the content of ``vitals.json``: the verdict, and layers by depth with their first and last numbers."""

    def both(tag: str) -> dict[str, float | None]:
        return {"start": monitor.start.get(tag), "end": monitor.end.get(tag)}

    outputs = [monitor.start.get(f"activation_grad_norm/{layer.label}") for layer in monitor.layers]
    found = monitor.diagnosis
    return {
        "verdict": found.verdict,
        "severity": found.severity,
        "step": found.step,
        "findings": [_finding(finding, monitor) for finding in found.findings],
        "remedies": [asdict(remedy) for remedy in prescribe(found.verdict, net)],
        "preflight": content(monitor.preflight) if monitor.preflight else None,
        "gain_per_layer": profile(outputs).gain,
        "layers": [
            {
                "name": layer.name,
                "index": layer.index,
                "kind": layer.kind,
                "fan_in": layer.fan_in,
                **{kind: both(f"{kind}/{layer.label}") for kind in LAYER_NUMBERS},
            }
            for layer in monitor.layers
        ],
        "input_grad_norm": both("grad_norm/input"),
        "total_grad_norm": both("grad_norm/total"),
        "clip": {kind: both(f"clip/{kind}") for kind in ("coefficient", "cosine", "cosine_per_tensor")},
    }


def _finding(finding: Finding, monitor: GradientVitals) -> dict[str, Any]:
    index = finding.layer
    named = index is not None and index < len(monitor.layers)
    return asdict(finding) | {"layer": monitor.layers[index].name if named else None}  # type: ignore[index]


def objective_value(result: Result) -> float | None:
    """Returns the best value of a run's objective; a finite penalty where it diverged; None where it was not logged."""
    objective = result.objective
    value = result.value_of(objective) if objective else None
    if objective and value is None and objective.tag not in result.metrics:
        log.warning(f"objective={objective}: no such metric; there are {', '.join(sorted(result.metrics)) or 'none'}")
    return value
