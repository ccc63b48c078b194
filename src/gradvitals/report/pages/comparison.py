"""What tells several runs apart: their short names, their order, and where their configs differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gradvitals.report.pages import phrases as words
from gradvitals.results.objective import Objective
from gradvitals.results.record import Record

NO_DIFFERENCE = ("paths.", "ckpt_path", "resume", "tags")  # where a run lies and how it went on


@dataclass(frozen=True)
class Compared:
    """Runs, the best first.

    Attributes:
        records: the runs.
        names: of each, what it typed that not all did.
        common: what all typed.
        objective: the metric that ranks; None where no run has one.
    """

    records: list[Record]
    names: list[str]
    common: list[str]
    objective: Objective | None


def compare(records: Sequence[Record]) -> Compared:
    """Rank runs by the objective that most of them have; runs without a number come last, in the order given.

    Example:
        >>> from pathlib import Path
        >>> from gradvitals.results.result import Result
        >>> def run(act, acc):
        ...     found = {"status": "completed", "metrics": {"val/acc": {"best": acc, "final": acc}}}
        ...     return Record(Path(act), Result.from_json(found), overrides=["model=bn", f"act={act}"])
        >>> found = compare([run("relu", 0.8), run("elu", 0.9)])
        >>> found.names, found.common, str(found.objective)
        (['act=elu', 'act=relu'], ['model=bn'], 'val/acc')
    """
    objective = Objective.common(record.objective for record in records)
    ranked = sorted(records, key=lambda record: _rank(record, objective))
    common = [word for word in records[0].overrides if all(word in record.overrides for record in records)]
    return Compared(ranked, _names(ranked, common), common, objective)


def _rank(record: Record, objective: Objective | None) -> tuple[bool, float]:
    value = record.metric(objective.tag) if objective and record.status.counts else None
    return (True, 0.0) if objective is None or value is None else (False, -objective.score(value))


def _names(records: Sequence[Record], common: Sequence[str]) -> list[str]:
    """Short ones; the directory's name joins where they are not enough."""
    short = [" ".join(word for word in record.overrides if word not in common) for record in records]
    count = Counter(short)
    folders = [record.folder.absolute().name for record in records]
    return [
        name if name and count[name] == 1 else f"{name} {folder}".strip()
        for name, folder in zip(short, folders, strict=True)
    ]


def differences(records: Sequence[Record]) -> dict[str, list[str | None]]:
    """Config keys whose values differ, with the value of each run; None where a run has no such key.

    Example:
        >>> from pathlib import Path
        >>> from gradvitals.results.result import Result
        >>> a, b = {"act": {"name": "elu"}, "seed": 0}, {"act": {"name": "relu"}, "seed": 0}
        >>> differences([Record(Path(), config=a), Record(Path(), config=b)])
        {'act.name': ['elu', 'relu']}
    """
    flat = [words.flat(record.config) for record in records]
    keys = dict.fromkeys(key for config in flat for key in config if not key.startswith(NO_DIFFERENCE))
    found = {key: [config.get(key) for config in flat] for key in keys}
    known = [bool(config) for config in flat]
    return {
        key: values
        for key, values in found.items()
        if len({value for value, has_config in zip(values, known, strict=True) if has_config}) > 1
    }
