"""What a run directory contains, read back as plain values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gradvitals.results.files import read_json
from gradvitals.results.objective import AUTO, Objective
from gradvitals.results.result import RESULT, Result
from gradvitals.results.run_names import closest_runs, in_order
from gradvitals.results.status import Status

CONFIG = ".hydra/config.yaml"
OTHER_COMMANDS = ("preflight.json", "cure.json")  # their directories have a `.hydra`, too
NO_RUNS_BELOW = ("checkpoints", ".hydra")
# How a run was resumed, and what it printed: no settings of it.
RUN_KEYS = ("ckpt_path", "resume", "data.changed", "print_config")


@dataclass(frozen=True)
class Record:
    """One run directory.

    Attributes:
        vitals: of ``vitals.json``; empty where there is none, or a torn one.
        config: the composed config, likewise.
        overrides: what was typed, without what resumed it.

    Example:
        >>> found = {"status": "completed", "metrics": {"val/acc": {"final": 0.9, "best": 0.95}}}
        >>> run = Record(Path("runs/a"), Result.from_json(found))
        >>> run.name, run.status.value, run.metric("val/acc"), run.metric("val/loss"), str(run.objective)
        ('a', 'completed', 0.95, None, 'val/acc')
    """

    folder: Path
    result: Result = field(default_factory=Result)
    vitals: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return " ".join(self.overrides) or self.folder.absolute().name

    @property
    def status(self) -> Status:
        return self.result.status

    @property
    def verdict(self) -> str | None:
        return self.result.verdict or self.vitals.get("verdict")

    @property
    def seed(self) -> int | None:
        return self.config.get("seed") if self.result.seed is None else self.result.seed

    @property
    def objective(self) -> Objective | None:
        """The metric that the run is judged by: the result's, else the config's; None where it logged none."""
        tag, mode = (str(self.config.get(key) or AUTO) for key in ("objective", "objective_mode"))
        return self.result.objective or Objective.resolve(self.result.metrics, tag, mode)

    def gradients(self, step: str) -> list[float | None]:
        """Returns dL/dh by layer, input side first, at the first (``start``) or the last (``end``) measured step."""
        layers = self.vitals.get("layers") or []
        return [(layer.get("activation_grad_norm") or {}).get(step) for layer in layers]

    def metric(self, tag: str, which: Literal["best", "final"] = "best") -> float | None:
        found = self.result.metrics.get(tag)
        return None if found is None else getattr(found, which)


def without_run_keys(overrides: Iterable[str]) -> list[str]:
    """Returns the overrides that are settings of a run.

    Example:
        >>> without_run_keys(["act=elu", "ckpt_path=a/last.ckpt"])
        ['act=elu']
    """
    return [override for override in overrides if override.partition("=")[0] not in RUN_KEYS]


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a nested config by dotted keys.

    Example:
        >>> flat({"model": {"depth": 3, "hidden": None}, "callbacks": {}})
        {'model.depth': 3, 'model.hidden': None, 'callbacks': {}}
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        is_nested = isinstance(value, Mapping) and value
        found |= flat(value, f"{prefix}{key}.") if is_nested else {f"{prefix}{key}": value}
    return found


def read(folder: Path) -> Record:
    """Reads a run directory; what is missing or torn counts as empty."""
    result, config = Result.read(folder), _yaml(folder / CONFIG)
    typed = result.overrides or [str(word) for word in _yaml(folder / ".hydra" / "overrides.yaml") or []]
    settings = config if isinstance(config, dict) else {}
    return Record(folder, result, read_json(folder / "vitals.json"), settings, without_run_keys(typed))


def below(folder: Path) -> list[Record]:
    """Reads the runs in a folder; there may be none."""
    return [read(run) for run in _sorted_runs(folder)]


def locate(folders: Iterable[Path]) -> list[Path]:
    """Finds run directories, each once: folders that are some themselves, or that contain some at any depth.

    Folders in the order they were given, runs within them by time, and jobs of a sweep by number.

    Raises:
        ValueError: a folder without a run.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        runs = _sorted_runs(folder)
        if not runs:
            what, close = ("no run in it", "") if folder.is_dir() else ("no such directory", closest_runs(folder))
            expected = f"Expected a run directory ({RESULT}) or a folder that contains some"
            raise ValueError(f"{folder}: {what}. {expected}{close}")
        for run in runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def _sorted_runs(folder: Path) -> list[Path]:
    return sorted(_runs(folder), key=in_order)


def _runs(folder: Path) -> Iterator[Path]:
    for root, folders, _ in os.walk(folder):
        if _is_run(Path(root)):
            yield Path(root)
            folders.clear()
        folders[:] = [name for name in folders if name not in NO_RUNS_BELOW]


def _is_run(folder: Path) -> bool:
    if (folder / RESULT).exists():
        return True
    return (folder / CONFIG).exists() and not any((folder / name).exists() for name in OTHER_COMMANDS)


def _yaml(file: Path) -> Any:
    import yaml  # 20 ms that `--help` can do without

    try:
        # The loader in C, where there is one, is ten times faster: two hundred configs.
        return yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError):
        return None
