"""What ``result.json`` contains: the one place that knows its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args

from gradvitals.results.files import read_json, write_json
from gradvitals.results.objective import Mode, Objective
from gradvitals.results.status import Status

RESULT = "result.json"
Shape = TypeVar("Shape")


@dataclass(frozen=True)
class MetricSummary:
    """The last and the best value of a metric; None where none was finite."""

    final: float | None = None
    best: float | None = None


@dataclass(frozen=True)
class FirstNonFinite:
    """The step and the place of the first number of a run that was not finite."""

    step: int | None = None
    where: str | None = None


@dataclass(frozen=True)
class Parameters:
    """How many parameters of a network are trained, how many are frozen, and how many moving statistics it has."""

    trained: int = 0
    frozen: int = 0
    statistics: int = 0


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        status: how it ended; ``missing`` where there is no ``result.json``, or a torn one.
        reason: why it ended so; None where the status says enough.
        verdict: what was wrong with it; None where nothing watched it.
        weights: the checkpoint whose weights it began with.
        objective: the metric that it is judged by; None where it logged none.
        steps, epochs: of the optimizer, and through the data.
        samples_per_second: of the training loop, validation left out.
        clipped_fraction: share of the measured steps whose gradient was clipped; None without clipping.
        skipped_steps: steps that were left out because a gradient was not finite.
        non_finite: the first number that was not finite; None where all were.
        parameters: of the network; None where there is no result.
        tested_on: ``train``, ``val`` or ``test``, the rows whose metrics are ``test/...``; None where nothing was
            tested, or with data of the user.
        baseline: the loss of the best prediction without memory, where the task is one of memory; else None.
        table: what was read of a table, as plain values; None where the data are no table.
        git: the commit; ``+`` behind it where files differ from it.

    Example:
        >>> result = Result.from_json({"status": "stopped", "metrics": {"val/loss": {"final": 0.5, "best": 0.25}}})
        >>> result.status.counts, result.metrics["val/loss"].best, result.to_json()["status"]
        (True, 0.25, 'stopped')
    """

    status: Status = Status.MISSING
    reason: str | None = None
    verdict: str | None = None
    overrides: list[str] = field(default_factory=list)
    seed: int | None = None
    weights: str | None = None
    metrics: dict[str, MetricSummary] = field(default_factory=dict)
    objective: Objective | None = None
    steps: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    samples_per_second: float | None = None
    clipped_fraction: float | None = None
    skipped_steps: int = 0
    non_finite: FirstNonFinite | None = None
    parameters: Parameters | None = None
    tested_on: str | None = None
    baseline: float | None = None
    table: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    git: str | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Result:
        """Returns the result that some JSON describes.

        Keys that are missing or null have their defaults and unknown keys are left out, so that results of other
        versions can be read.
        """
        known = {key: value for key, value in content.items() if value is not None}
        shaped = {
            "status": Status(known["status"]) if known.get("status") in list(Status) else Status.MISSING,
            "overrides": [str(override) for override in known.get("overrides", [])],
            "metrics": {tag: _shaped(MetricSummary, values) for tag, values in known.get("metrics", {}).items()},
            "objective": _objective(known.get("objective")),
            "non_finite": _shaped(FirstNonFinite, known["non_finite"]) if "non_finite" in known else None,
            "parameters": _shaped(Parameters, known["parameters"]) if "parameters" in known else None,
            "table": dict(known["table"]) if isinstance(known.get("table"), Mapping) else None,
        }
        return _shaped(cls, known | shaped)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"status": self.status.value}

    @classmethod
    def read(cls, run_dir: Path) -> Result:
        """Returns the result in a run directory; the default where there is none, or a torn one."""
        return cls.from_json(read_json(run_dir / RESULT))

    def write(self, run_dir: Path) -> None:
        """Writes ``result.json`` whole or not at all; numbers that are not finite become null."""
        write_json(run_dir / RESULT, self.to_json())

    def value_of(self, objective: Objective) -> float | None:
        """Returns the objective's best value, its ``worst`` where the run diverged; None where it was not logged.

        Example:
            >>> loss = Objective("val/loss", "min")
            >>> Result(Status.COMPLETED, metrics={"val/loss": MetricSummary(0.5, 0.25)}).value_of(loss)
            0.25
            >>> Result(Status.DIVERGED).value_of(loss)
            1000000.0
        """
        if self.status is Status.DIVERGED:
            return objective.worst
        return self.metrics[objective.tag].best if objective.tag in self.metrics else None


def borrowed_test(tested_on: str | None) -> str:
    """Returns a remark on test metrics of rows that are no test rows; empty where they are.

    Example:
        >>> borrowed_test("train"), borrowed_test("test")
        ('the training rows: these data have no test rows of their own', '')
    """
    rows = {"train": "training", "val": "validation"}.get(tested_on or "")
    return f"the {rows} rows: these data have no test rows of their own" if rows else ""


def without_memory(baseline: float | None) -> str:
    """Returns what a loss is to be compared with, where the task is one of memory; else an empty string.

    Example:
        >>> without_memory(1 / 6), without_memory(None)
        ('loss 0.1667 is what the best prediction without memory reaches', '')
    """
    return "" if baseline is None else f"loss {baseline:.4g} is what the best prediction without memory reaches"


def _shaped(shape: type[Shape], content: object) -> Shape:
    values = content if isinstance(content, Mapping) else {}
    return shape(**{each.name: values[each.name] for each in fields(shape) if each.name in values})  # type: ignore[arg-type]


def _objective(content: object) -> Objective | None:
    if isinstance(content, Mapping) and content.get("mode") in get_args(Mode):
        return Objective(str(content.get("tag")), content["mode"])
    return None
