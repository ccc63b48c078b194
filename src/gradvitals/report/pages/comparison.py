"""What distinguishes several runs: their short names, their order, and where their configs differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradvitals.formatting import plain
from gradvitals.results.objective import Objective
from gradvitals.results.record import Record, flat

NO_DIFFERENCE = ("paths.", "ckpt_path", "resume", "tags")  # where a run is stored and how it was resumed


@dataclass(frozen=True)
class Compared:
    """Runs, the best first.

    Attributes:
        names: of each, the overrides that not all runs have.
        common: the overrides of all runs.
        objective: the metric that ranks; None where no run has one.
    """

    records: list[Record]
    names: list[str]
    common: list[str]
    objective: Objective | None


def compare(records: Sequence[Record]) -> Compared:
    """Ranks runs by the objective that most of them have; runs without a number come last, in the order given.

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
    common = [override for override in records[0].overrides if all(override in each.overrides for each in records)]
    return Compared(ranked, _names(ranked, common), common, objective)


def _rank(record: Record, objective: Objective | None) -> tuple[bool, float]:
    value = record.metric(objective.tag) if objective and record.status.counts else None
    return (True, 0.0) if objective is None or value is None else (False, -objective.score(value))


def _names(records: Sequence[Record], common: Sequence[str]) -> list[str]:
    short = [" ".join(override for override in record.overrides if override not in common) for record in records]
    count = Counter(short)
    folders = [record.folder.absolute().name for record in records]
    return [
        name if name and count[name] == 1 else f"{name} {folder}".strip()
        for name, folder in zip(short, folders, strict=True)
    ]


def differences(records: Sequence[Record]) -> dict[str, list[str | None]]:
    """Returns the config keys whose values differ, with the value of each run; None where a run has no such key.

    Example:
        >>> from pathlib import Path
        >>> from gradvitals.results.result import Result
        >>> a, b = {"act": {"name": "elu"}, "seed": 0}, {"act": {"name": "relu"}, "seed": 0}
        >>> differences([Record(Path(), config=a), Record(Path(), config=b)])
        {'act.name': ['elu', 'relu']}
    """
    configs = [plain_by_key(record.config) for record in records]
    keys = dict.fromkeys(key for config in configs for key in config if not key.startswith(NO_DIFFERENCE))
    differ = [key for key in keys if len({config.get(key) for config in configs if config}) > 1]
    return {key: [config.get(key) for config in configs] for key in differ}


def plain_by_key(config: Mapping[str, Any]) -> dict[str, str]:
    """Returns a nested config by dotted keys, its values as people read them.

    Example:
        >>> plain_by_key({"model": {"depth": 3, "hidden": None}, "seed": 1})
        {'model.depth': '3', 'model.hidden': 'null', 'seed': '1'}
    """
    return {key: plain(value) for key, value in flat(config).items()}
