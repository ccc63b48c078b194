"""What the monitor of a fit found, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gradvitals.callbacks.gradient_vitals import GradientVitals
from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.profile import profile
from gradvitals.report.steps import evenly
from gradvitals.signal_propagation.reading import content

TIME_PROFILES = 24  # measured steps of each recurrent layer
LAYER_NUMBERS = (
    "grad_norm",
    "grad_norm_clipped",
    "grad_norm_corrected",
    "activation_grad_norm",
    "dead_fraction",
    "saturated_fraction",
    "update_ratio",
)


def vitals(monitor: GradientVitals) -> dict[str, Any]:
    """Returns the content of ``vitals.json``: the verdict, and layers by depth with their first and last numbers.

    There are no remedies in it: they are overrides, which a project of one's own has not.
    """

    start, end = monitor.start, monitor.end

    def both(tag: str) -> dict[str, float | None]:
        return {"start": start.get(tag), "end": end.get(tag)}

    outputs = [start.get(f"activation_grad_norm/{layer.label}") for layer in monitor.layers]
    found, steps = monitor.diagnosis, monitor.measured_steps
    return {
        "verdict": found.verdict,
        "severity": found.severity,
        "reason": found.reason,
        "step": found.step,
        "findings": [_finding(finding, monitor) for finding in found.findings],
        "remedies": [],
        "preflight": content(monitor.preflight) if monitor.preflight else None,
        "measured": {"start": min(steps, default=None), "end": max(steps, default=None)},
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
        "through_time": _through_time(monitor),
        "input_grad_norm": both("grad_norm/input"),
        "total_grad_norm": both("grad_norm/total"),
        "clip": {kind: both(f"clip/{kind}") for kind in ("coefficient", "cosine", "cosine_per_tensor")},
    }


def _through_time(monitor: GradientVitals) -> list[dict[str, Any]]:
    """The norms of dL/dx by time step of each recurrent layer, at some of the measured steps."""
    names = {layer.label: layer.name for layer in monitor.layers}
    found = {label: monitor.through_time.of(label) for label in monitor.through_time.labels}
    return [
        {
            "layer": names.get(label, label),
            "factor_predicted": monitor.time_factors.get(label),
            "measured": [
                {"step": step, "steps": norms.steps, "norms": [float(f"{norm:.4g}") for norm in norms.norms]}
                for step, norms in (list(profiles.items())[place] for place in evenly(len(profiles), TIME_PROFILES))
            ],
        }
        for label, profiles in found.items()
    ]


def _finding(finding: Finding, monitor: GradientVitals) -> dict[str, Any]:
    index = finding.layer
    named = index is not None and index < len(monitor.layers)
    return asdict(finding) | {"layer": monitor.layers[index].name if named else None}  # type: ignore[index]
