"""What run directories hold, as plain values: the one place that reads them for reports."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradvitals.formatting import natural
from gradvitals.results.objective import Objective

MISSING = "missing"
RESULT, CONFIG = "result.json", ".hydra/config.yaml"
OTHERS = ("preflight.json", "cure.json")  # what other commands leave behind beside a `.hydra`
NO_RUNS_BELOW = ("checkpoints", ".hydra")
OF_THE_RUN = ("ckpt_path=",)  # how a run went on, nothing that it changed


@dataclass(frozen=True)
class Record:
    """One run directory.

    Attributes:
        folder: the directory.
        result: ``result.json``; empty where there is none, or a torn one.
        vitals: ``vitals.json``, likewise.
        config: the composed config; empty where there is none.
        overrides: what was typed.

    Example:
        >>> run = Record(Path("runs/a"), {"status": "completed", "metrics": {"val/acc": {"final": 0.9, "best": 0.95}}})
        >>> run.name, run.status, run.metric("val/acc"), run.metric("val/loss")
        ('a', 'completed', 0.95, None)
    """

    folder: Path
    result: dict[str, Any] = field(default_factory=dict)
    vitals: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it changed, for people; the directory's name where it changed nothing."""
        return " ".join(self.overrides) or self.folder.absolute().name

    @property
    def status(self) -> str:
        """How it ended; ``missing`` where it left no result."""
        return self.result.get("status") or MISSING

    @property
    def verdict(self) -> str | None:
        """What was wrong with it; None where nothing watched it."""
        return self.result.get("verdict") or self.vitals.get("verdict")

    @property
    def seed(self) -> int | None:
        """Its seed."""
        return self.result.get("seed", self.config.get("seed"))

    @property
    def seconds(self) -> float | None:
        """Time of the fit."""
        return self.result.get("seconds")

    @property
    def objective(self) -> Objective | None:
        """The metric that it was asked to be good at; None where it logged none."""
        return Objective.of_run(self.result, self.config)

    def gradients(self, moment: str) -> list[float | None]:
        """dL/dh by layer, input side first, at the first (``start``) or the last (``end``) measured step."""
        layers = self.vitals.get("layers") or []
        return [(layer.get("activation_grad_norm") or {}).get(moment) for layer in layers]

    def metric(self, tag: str, which: str = "best") -> float | None:
        """The ``best`` or ``final`` value of a metric; None where it was not logged, or was not finite."""
        return (self.result.get("metrics", {}).get(tag) or {}).get(which)


def read(folder: Path) -> Record:
    """Read a run directory; what is missing or torn counts as empty."""
    result = read_result(folder)
    typed = result.get("overrides") or _yaml(folder / ".hydra" / "overrides.yaml") or []
    overrides = [str(word) for word in typed if not str(word).startswith(OF_THE_RUN)]
    config = _yaml(folder / CONFIG)
    return Record(folder, result, _json(folder / "vitals.json"), config if isinstance(config, dict) else {}, overrides)


def read_result(folder: Path) -> dict[str, Any]:
    """The content of a run's ``result.json``; empty where there is none, or a torn one."""
    return _json(folder / RESULT)


def find(folders: Iterable[Path]) -> list[Record]:
    """The runs in some folders, each a run directory itself or one that holds them at any depth.

    Folders in the order they were given, runs within them in natural order: ``2_x`` before ``10_x``.

    Raises:
        ValueError: a folder without a run.
    """
    return [read(folder) for folder in locate(folders)]


def below(folder: Path) -> list[Record]:
    """The runs in a folder, as :func:`find` has them; none where there is none."""
    try:
        return find([folder])
    except ValueError:
        return []


def locate(folders: Iterable[Path]) -> list[Path]:
    """The run directories that :func:`find` reads, each once."""
    found: dict[Path, Path] = {}
    for folder in folders:
        runs = sorted(_runs(folder), key=lambda run: [natural(name) for name in run.parts])
        if not runs:
            what = "no run in it" if folder.is_dir() else "no such directory"
            raise ValueError(f"{folder}: {what}. Expected a run directory ({RESULT}) or a folder that holds some")
        for run in runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def is_run(folder: Path) -> bool:
    """Whether a directory is one of a training, ended or not."""
    if (folder / RESULT).exists():
        return True
    return (folder / CONFIG).exists() and not any((folder / name).exists() for name in OTHERS)


def _runs(folder: Path) -> Iterator[Path]:
    for root, folders, _ in os.walk(folder):
        if is_run(Path(root)):
            yield Path(root)
            folders.clear()
        folders[:] = [name for name in folders if name not in NO_RUNS_BELOW]


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _yaml(file: Path) -> Any:
    import yaml  # 20 ms that `--help` can do without

    try:
        # The loader in C, where there is one, is ten times faster: two hundred configs.
        return yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError):
        return None
