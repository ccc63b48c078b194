"""Runs on small tables, trained once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from tests.conftest import compose_variant

SHORT = ("monitor=off", "logger=none", "report=false", "model.depth=1", "model.width=16", "optimizer.lr=0.03")
RUNS: dict[str, Path] = {}


def colors(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """A table whose class is sure: blue is B, green C, and red A where v is above 50, else C."""
    random = np.random.default_rng(seed)
    color = random.choice(["blue", "green", "red"], rows)
    v = np.round(random.choice([30.0, 70.0], rows) + random.uniform(-10, 10, rows), 2)
    label = np.select([color == "blue", color == "green", v > 50], ["B", "C", "A"], "C")
    return pd.DataFrame({"colour": color, "v": v, "label": label})


def houses(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """A quantity in its own unit: 3,000 per square meter, less 20,000 per room."""
    random = np.random.default_rng(seed)
    area, rooms = random.integers(40, 200, rows), random.integers(1, 7, rows)
    return pd.DataFrame({"rooms": rooms, "area": area, "price": 3000.0 * area - 20_000.0 * rooms})


def train_table(folder: Path, table: pd.DataFrame, target: str, train_here, *typed: str) -> Path:
    """Trains on a table that is written to a folder, and returns the run directory."""
    file, run_dir = folder / "train.csv", folder / "run"
    table.to_csv(file, index=False)
    return train_as_typed(
        run_dir, train_here, "data=csv", f"data.path='{file}'", f"data.target={target}", *SHORT, *typed
    )


def train_as_typed(run_dir: Path, train_here, *words: str) -> Path:
    """Trains, and saves the config and what was typed, as Hydra does."""
    train_here(*words, run_dir=run_dir)
    config = compose_variant(words)
    (run_dir / ".hydra").mkdir(exist_ok=True)
    OmegaConf.save(
        OmegaConf.masked_copy(config, [key for key in config if key != "paths"]), run_dir / ".hydra/config.yaml"
    )
    OmegaConf.save(OmegaConf.create(list(words)), run_dir / ".hydra/overrides.yaml")
    return run_dir


@pytest.fixture
def colors_run(train_here, tmp_path_factory) -> Path:
    if "colors" not in RUNS:
        folder = tmp_path_factory.mktemp("colors")
        RUNS["colors"] = train_table(folder, colors(), "label", train_here, "trainer.max_epochs=20")
    return RUNS["colors"]


@pytest.fixture
def houses_run(train_here, tmp_path_factory) -> Path:
    if "houses" not in RUNS:
        folder = tmp_path_factory.mktemp("houses")
        RUNS["houses"] = train_table(folder, houses(), "price", train_here, "trainer.max_epochs=60", "test=last")
    return RUNS["houses"]
