"""What a run leaves behind: result.json, vitals.json and the closing summary in the terminal."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightning import LightningModule
from torch import nn

from gradvitals.app.run.assemble import Run
from gradvitals.app.run.build_model import NO_PART
from gradvitals.build import Spec, resolve
from gradvitals.callbacks.gradient_vitals import GradientVitals, monitor_of
from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.profile import profile
from gradvitals.diagnosis.remedies import Net, prescribe
from gradvitals.formatting import short
from gradvitals.nets.mlp import MLP
from gradvitals.results.files import write_json
from gradvitals.results.objective import Objective, is_loss
from gradvitals.results.provenance import git_commit, versions
from gradvitals.results.record import without_run_keys
from gradvitals.results.result import Result
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


def result(run: Run, config: Spec, status: str, reason: str | None = None) -> dict[str, Any]:
    """The content of ``result.json``."""
    history, trainer, monitor, counted = run.history, run.trainer, monitor_of(run.trainer), count(run.model)
    speed = history.samples / history.loop_seconds if history.loop_seconds else None
    objective = Objective.resolve(history.metrics, config["objective"], config["objective_mode"])
    return {
        "status": status,
        "reason": reason or _why_ended(run),
        "verdict": monitor.diagnosis.verdict if monitor else None,
        "overrides": without_run_keys(config["overrides"]),
        "seed": config["seed"],
        "weights": config["weights"],
        "metrics": {tag: values for tag, values in history.metrics.items() if not tag.startswith("lr-")},
        "objective": asdict(objective) if objective else None,
        "steps": trainer.global_step,
        "epochs": trainer.current_epoch,
        "seconds": history.seconds,
        "samples_per_second": speed,
        "clipped_fraction": monitor.clipped_fraction if monitor else None,
        "skipped_steps": monitor.skipped_steps if monitor else 0,
        "non_finite": _non_finite(monitor),
        "parameters": {"trained": counted.trained, "frozen": counted.frozen, "statistics": counted.statistics},
        "versions": versions(),
        "git": git_commit(),
    }


def _why_ended(run: Run) -> str | None:
    """Why a search ended its trial early."""
    callbacks = run.trainer.callbacks  # type: ignore[attr-defined]
    return next((callback.ended_because for callback in callbacks if hasattr(callback, "ended_because")), None)


def _non_finite(monitor: GradientVitals | None) -> dict[str, Any] | None:
    """Step and place of the first number that was not finite."""
    if monitor is None or monitor.non_finite is None:
        return None
    step, where = monitor.non_finite
    return {"step": step, "where": where}


def mark_unfinished(run_dir: Path) -> None:
    """What a run that went on from its end says of itself, should it be killed."""
    known = Result.read(run_dir)
    if known.status is not Status.MISSING:
        replace(known, status=Status.INTERRUPTED, reason=None).write(run_dir)


def write(result: dict[str, Any], run: Run, config: Spec, run_dir: Path) -> str | None:
    """Write ``result.json``, and ``vitals.json`` where there is a monitor; what went wrong with that."""
    monitor = monitor_of(run.trainer)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)  # it may have vanished since
        write_json(run_dir / "result.json", result)
        if monitor is not None and monitor.layers:  # none before the first measured step
            write_json(run_dir / "vitals.json", vitals(monitor, net_of(config)))
    except OSError as error:
        return f"cannot write the results to {short(run_dir)}: {error.strerror}. What was saved before is whole"
    return None


def net_of(config: Spec) -> Net:
    """What remedies depend on."""
    model, act, init, optimizer, clip = (config["choices"].get(key) or "" for key in CHOICES)
    numbers = {"lr": config["optimizer"].get("lr", 0.0), "gain": config["init"].get("gain", 1.0)}
    fixed = _fixed(config["model"])
    return Net(model, act, init, optimizer, clip, **numbers, scaling=config["data"].get("scaling"), fixed=fixed)


def _fixed(model: Spec) -> tuple[str, ...]:
    """The groups that a network or LightningModule of one's own decides itself."""
    target = resolve(model["_target_"], nn.Module)
    if target is MLP:
        return ()
    of_module = isinstance(target, type) and issubclass(target, LightningModule)
    return ("model", *(NO_PART if of_module else ()))


def vitals(monitor: GradientVitals, net: Net) -> dict[str, Any]:
    """The content of ``vitals.json``: the verdict, and layers by depth with their first and their last numbers."""

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
    """A finding with its layer's name."""
    index = finding.layer
    named = index is not None and index < len(monitor.layers)
    return asdict(finding) | {"layer": monitor.layers[index].name if named else None}  # type: ignore[index]


def status(run: Run, interrupted: bool) -> str:
    """``completed``, ``stopped`` (early), ``diverged`` (a loss that is not finite) or ``interrupted``."""
    if interrupted:
        return "interrupted"
    if any(is_loss(tag) and values["final"] is None for tag, values in run.history.metrics.items()):
        return "diverged"
    monitor = monitor_of(run.trainer)
    if monitor is not None and monitor.non_finite and monitor.settings.on_non_finite == "stop":
        return "diverged"
    return "stopped" if run.trainer.should_stop else "completed"


def objective_value(result: dict[str, Any]) -> float | None:
    """Returns the best value of a run's objective; a finite penalty where it diverged; None where it was not logged."""
    read = Result.from_json(result)
    objective = read.objective
    value = read.value_of(objective) if objective else None
    if objective and value is None and objective.tag not in result["metrics"]:
        log.warning(
            f"objective={objective}: no such metric; there are {', '.join(sorted(result['metrics'])) or 'none'}"
        )
    return value
