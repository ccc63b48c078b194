"""The published and recomputed figures of tests/reference/theory.json, and how one is compared with what is found."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from gradvitals.activations import activation

FILE = Path(__file__).parents[1] / "reference/theory.json"
REFERENCE: dict[str, dict[str, Any]] = {e["id"]: e for e in json.loads(FILE.read_text())["entries"]}


def ids(*beginnings: str) -> list[str]:
    return [name for name in REFERENCE if name.startswith(beginnings)]


def act_of(name: str) -> Any:
    """The activation that a setting's word means: a slope is written behind leaky_relu."""
    slope = name.removeprefix("leaky_relu")
    return activation("leaky_relu", negative_slope=float(slope))() if name.startswith("leaky_relu") else name


def check(name: str, found: Any, rel: float | None = None) -> None:
    """Within the entry's own tolerance, or within ``rel``, a tighter one, where theory itself is what was found."""
    entry = REFERENCE[name]
    compare(found, entry["value"], {"rel": rel} if rel is not None else entry["tolerance"])


def compare(found: Any, value: Any, tolerance: dict[str, Any]) -> None:
    if isinstance(value, dict):
        assert set(found) == set(value)
        for key in value:
            compare(found[key], value[key], tolerance)
    elif isinstance(value, list):
        assert len(found) == len(value)
        for ours, theirs in zip(found, value, strict=True):
            compare(ours, theirs, tolerance)
    elif "factor" in tolerance:
        assert value / tolerance["factor"] <= found <= value * tolerance["factor"] or found == value
    elif tolerance.get("exact"):
        assert found == value or (value == "nan" and math.isnan(found))
    else:
        rel, absolute = tolerance.get("rel", 0.0), tolerance.get("abs", 0.0)
        assert found == pytest.approx(value, rel=rel, abs=absolute or 1e-11)
