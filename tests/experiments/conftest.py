"""An experiment trained in this process, and what it left behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from gradvitals.app.config.run_directory import register_names
from tests.conftest import CONF

REFERENCE = Path(__file__).parents[1] / "reference"
RECIPES = json.loads((REFERENCE / "recipes.json").read_text())
PUBLISHED = {entry["id"]: entry for entry in json.loads((REFERENCE / "training.json").read_text())}
BARE = ("callbacks=none", "logger=none")  # nothing is saved and nothing shown: for many seeds


@dataclass
class Outcome:
    """The files of a finished run."""

    run_dir: Path
    result: dict[str, Any]
    vitals: dict[str, Any]

    def final(self, tag: str) -> float:
        return self.result["metrics"][tag]["final"]

    def best(self, tag: str) -> float:
        return self.result["metrics"][tag]["best"]

    def start(self, kind: str) -> list[float]:
        """A number of every layer at the first step, input side first."""
        return [layer[kind]["start"] for layer in self.vitals["layers"]]

    @property
    def first_over_last(self) -> float:
        norms = self.start("grad_norm")
        return norms[0] / norms[-1]


@pytest.fixture
def outcome(outcome_of):
    """Train ``experiment=NAME`` with what else is typed."""
    return lambda name, *typed: outcome_of(f"experiment={name}", *typed)


@pytest.fixture
def outcome_of(train_here, tmp_path_factory):
    """Train with what is typed."""

    def run(*typed: str) -> Outcome:
        run_dir = train_here(*typed, run_dir=tmp_path_factory.mktemp("run"))
        files = (json.loads((run_dir / file).read_text()) for file in ("result.json", "vitals.json"))
        return Outcome(run_dir, *files)

    return run


def jobs(name: str) -> list[tuple[str, ...]]:
    """The jobs of an experiment that is a sweep, as what each of them is typed."""
    register_names()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = compose("train", [f"experiment={name}"], return_hydra_config=True).hydra
    assert hydra.mode.name == "MULTIRUN"
    params = {key: values.split(",") for key, values in hydra.sweeper.params.items()}
    return [tuple(map("=".join, zip(params, values, strict=True))) for values in product(*params.values())]
