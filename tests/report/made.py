"""Run directories made by hand, with what a short training leaves in them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

DEPTH, STEPS = 4, (0, 1, 50, 100)
VERSIONS = {"gradvitals": "0.1.0", "torch": "2.6.0"}
FINDING = {
    "rule": "vanishing",
    "layer": "net.0",
    "step": 50,
    "value": -6.0,
    "threshold": -2.0,
    "evidence": "layer 0 receives 1e-06 of layer 3's gradient",
    "cause": "as theory predicts",
}
REMEDIES = [
    {"overrides": ["act=elu", "init=auto"], "why": "a slope near 1", "source": "Clevert et al. (2016)"},
    {"overrides": ["model=bn"], "why": "inputs of mean 0", "source": "Ioffe & Szegedy (2015)"},
]


def a_result(**values: Any) -> dict[str, Any]:
    """The content of result.json."""
    metrics = {"val/acc": {"final": 0.8, "best": 0.9}, "val/loss": {"final": 0.5, "best": 0.4}}
    base = {"status": "completed", "verdict": "vanishing", "overrides": ["act=sigmoid", "act.slope=2", "seed=1"]}
    rest = {"seed": 1, "metrics": metrics, "steps": 100, "epochs": 2, "seconds": 3.0, "samples_per_second": 1e4}
    return base | rest | {"versions": VERSIONS, "git": "abc", "parameters": {"trained": 1234}, "reason": None} | values


def some_vitals(**values: Any) -> dict[str, Any]:
    """The content of vitals.json."""
    layers = [
        {
            "name": f"net.{i}",
            "index": i,
            "kind": "Linear",
            "activation_grad_norm": {"start": 10.0 ** (2 * i - 6), "end": 10.0 ** (i - 3)},
            "update_ratio": {"start": 1e-3, "end": None},
        }
        for i in range(DEPTH)
    ]
    measured = {"start": STEPS[0], "end": STEPS[-1]}
    found = {
        "verdict": "vanishing",
        "step": 50,
        "severity": 1.0,
        "reason": "",
        "measured": measured,
        "gain_per_layer": 0.01,
        "layers": layers,
    }
    return found | {"findings": [FINDING], "remedies": REMEDIES} | values


def a_run(
    folder: Path, result: dict | None = None, vitals: dict | None = None, config: str = "act:\n  name: sigmoid\n"
) -> Path:
    """A run directory with a result, vitals and a config; no curves."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(config)
    (folder / "result.json").write_text(json.dumps(a_result() if result is None else result))
    (folder / "vitals.json").write_text(json.dumps(some_vitals() if vitals is None else vitals))
    return folder


def record(step: int, values: dict[str, float]) -> bytes:
    """One event as TensorBoard's files contain it, with checksums that no reader verifies."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
    data = Event(step=step, summary=summary).SerializeToString()
    return struct.pack("<Q", len(data)) + b"crc." + data + b"crc."


def events(folder: Path, *records: bytes, time: int = 1000) -> None:
    """An event file in a run directory."""
    (folder / f"events.out.tfevents.{time}.host.1.0").write_bytes(b"".join(records))


def with_curves(folder: Path) -> Path:
    """Losses, gradients by layer and clipping over a few steps."""
    kinds = ("activation_grad_norm", "activation_std", "update_ratio", "dead_fraction")
    rows = []
    for step in STEPS:
        layers = {f"{kind}/{i}.net.{i}": 10.0 ** (i - 3) for kind in kinds[:3] for i in range(DEPTH)}
        layers |= {f"dead_fraction/{i}.net.{i}": 0.0 for i in range(DEPTH)}
        losses = {"train/loss": 2.0 / (1 + step), "val/loss": 2.1, "val/acc": 0.5, "clip/coefficient": 0.1}
        norms = {"grad_norm/total": 10.0, "grad_norm_clipped/total": 1.0, "clip/fraction": 1.0}
        rows.append(record(step, layers | losses | norms))
    events(folder, *rows)
    return folder
