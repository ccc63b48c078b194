"""What a run came to, and what may help it; and both written to its directory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.assemble import Run
from gradvitals.app.run.build_data import description_of
from gradvitals.callbacks.vitals_content import vitals
from gradvitals.diagnosis.remedies import CNN, MLP, RECURRENT, Net, Remedy, prescribe
from gradvitals.formatting import short
from gradvitals.results.files import write_json
from gradvitals.results.objective import Objective, is_loss
from gradvitals.results.provenance import git_commit, versions
from gradvitals.results.record import without_run_keys
from gradvitals.results.result import FirstNonFinite, MetricSummary, Parameters, Result
from gradvitals.results.status import Status
from gradvitals.vitals import count

log = logging.getLogger(__name__)

CHOICES = ("model", "act", "init", "optimizer", "clip")
FAMILIES = {"gradvitals.nets.recurrent.Recurrent": RECURRENT, "gradvitals.nets.cnn.CNN": CNN}
OF_FAMILY = {RECURRENT: ("cell", "recurrent_init", "forget_bias"), CNN: ("norm", "residual"), MLP: ()}


def result(run: Run, config: RunConfig, interrupted: bool = False, failure: str | None = None) -> Result:
    """Returns what a run came to."""
    history, monitor, counted = run.history, run.monitor, count(run.model)
    table = description_of(run.data)
    return Result(
        Status.FAILED if failure else status(run, interrupted),
        failure or _ended_because(run),
        verdict=monitor.diagnosis.verdict if monitor else None,
        overrides=without_run_keys(config.overrides),
        seed=config["seed"],
        weights=config["weights"],
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
        tested_on=_tested_on(run),
        baseline=run.baseline,
        table=table.to_dict() if table else None,
        versions=versions(),
        git=git_commit(),
    )


def _tested_on(run: Run) -> str | None:
    splits = getattr(run.data, "splits", None)  # of our data modules
    return getattr(splits, "tested_on", None) if any(tag.startswith("test/") for tag in run.history.metrics) else None


def _ended_because(run: Run) -> str | None:
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


def remedies_of(run: Run, config: RunConfig) -> list[Remedy]:
    """Returns what is prescribed for the verdict of a run."""
    net = net_of(config, run.decided)
    return prescribe(run.monitor.diagnosis.verdict, net) if run.monitor else []


def net_of(config: RunConfig, decided: tuple[str, ...] = ()) -> Net:
    """Returns what remedies depend on."""
    model, act, init, optimizer, clip = (config.choices.get(key) or "" for key in CHOICES)
    optimizing, scheduler = config["optimizer"], config.choices.get("scheduler") or "none"
    numbers = {"lr": optimizing.get("lr", 0.0), "gain": config["init"].get("gain", 1.0)}
    numbers["decay"] = optimizing.get("weight_decay") or 0.0
    others = {"scaling": config["data"].get("scaling"), "scheduler": scheduler}
    family = FAMILIES.get(config["model"].get("_target_", ""), MLP)
    of_family = {key: config["model"][key] for key in OF_FAMILY[family] if key in config["model"]}
    return Net(model, act, init, optimizer, clip, **numbers, **others, fixed=decided, family=family, **of_family)


def objective_value(result: Result) -> float | None:
    """Returns the best value of a run's objective; a finite penalty where it diverged; None where it was not logged."""
    objective = result.objective
    value = result.value_of(objective) if objective else None
    if objective and value is None and objective.tag not in result.metrics:
        log.warning(f"objective={objective}: no such metric; there are {', '.join(sorted(result.metrics)) or 'none'}")
    return value


def write(result: Result, run: Run, remedies: Sequence[Remedy], run_dir: Path) -> str | None:
    """Writes ``vitals.json`` where there is a monitor, and ``result.json``; returns what went wrong with that.

    ``result.json`` is the last one, because a run that has it is complete and is not resumed.
    """
    monitor = run.monitor
    try:
        run_dir.mkdir(parents=True, exist_ok=True)  # it may have vanished since
        if monitor is not None and monitor.layers:  # none before the first measured step
            write_json(run_dir / "vitals.json", vitals(monitor) | {"remedies": [asdict(remedy) for remedy in remedies]})
        result.write(run_dir)
    except OSError as error:
        return f"cannot write the results to {short(run_dir)}: {error.strerror}. What was saved before is whole"
    return None
