"""The file ``vitals.json`` of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradvitals.app.run.assemble import Run
from gradvitals.callbacks.gradient_vitals import GradientVitals
from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.profile import profile
from gradvitals.diagnosis.remedies import Remedy
from gradvitals.formatting import short
from gradvitals.results.files import write_json
from gradvitals.results.result import Result
from gradvitals.signal_propagation.reading import content

LAYER_NUMBERS = (
    "grad_norm",
    "grad_norm_clipped",
    "grad_norm_corrected",
    "activation_grad_norm",
    "dead_fraction",
    "saturated_fraction",
    "update_ratio",
)


def write(result: Result, run: Run, remedies: Sequence[Remedy], run_dir: Path) -> str | None:
    """Writes ``result.json``, and ``vitals.json`` where there is a monitor; returns what went wrong with that."""
    monitor = run.monitor
    try:
        run_dir.mkdir(parents=True, exist_ok=True)  # it may have vanished since
        result.write(run_dir)
        if monitor is not None and monitor.layers:  # none before the first measured step
            write_json(run_dir / "vitals.json", vitals(monitor, remedies))
    except OSError as error:
        return f"cannot write the results to {short(run_dir)}: {error.strerror}. What was saved before is whole"
    return None


def vitals(monitor: GradientVitals, remedies: Sequence[Remedy]) -> dict[str, Any]:
    """Returns the content of ``vitals.json``: the verdict, and layers by depth with their first and last numbers."""

    start, end = monitor.start, monitor.end

    def both(tag: str) -> dict[str, float | None]:
        return {"start": start.get(tag), "end": end.get(tag)}

    outputs = [start.get(f"activation_grad_norm/{layer.label}") for layer in monitor.layers]
    found = monitor.diagnosis
    return {
        "verdict": found.verdict,
        "severity": found.severity,
        "step": found.step,
        "findings": [_finding(finding, monitor) for finding in found.findings],
        "remedies": [asdict(remedy) for remedy in remedies],
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
