"""A sweep's runs aggregated: configurations over their replicates, ranked, and the average effect of each swept key."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from gradvitals.results.objective import Objective
from gradvitals.results.record import RUN_KEYS, Record

# What distinguishes the replicates of one configuration: key -> what its values are called.
FOLD = "data.fold"
REPLICATES = {FOLD: "fold", "seed": "seed"}


@dataclass(frozen=True)
class MeanStd:
    """Mean and standard deviation of some numbers.

    Attributes:
        mean: None where there is no number.
        sd: of the sample (n - 1); None below two numbers.
        n: how many.

    Example:
        >>> MeanStd.of([1.0, None, 3.0])
        MeanStd(mean=2.0, sd=1.4142135623730951, n=2)
    """

    mean: float | None
    sd: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> MeanStd:
        """Returns mean and standard deviation of the finite numbers among some values."""
        known = [value for value in values if value is not None and math.isfinite(value)]
        if not known:
            return cls(None, None, 0)
        mean = math.fsum(known) / len(known)
        squares = math.fsum((value - mean) ** 2 for value in known)
        return cls(mean, math.sqrt(squares / (len(known) - 1)) if len(known) > 1 else None, len(known))


@dataclass(frozen=True)
class Configuration:
    """One combination of the swept keys, whatever the seed and the fold.

    Attributes:
        settings: swept key -> value as typed, without those of replicates.
        runs: one for each seed and fold.
        objective, best, final: of the runs that count: the sweep's objective, and the shown metric's two values.
        tested: of the same runs, the objective on the folds that they test; without a number where there are no folds.
        score: what ranks it, the higher the better; a run that diverged enters with the objective's worst value; None
            where no run is over.
        gain, seconds: gain per layer at the first step, and time of the fit.
        trainable: depth up to which theory expects training to work; without a number where it sets no limit.

    Example:
        >>> nothing = MeanStd.of([])
        >>> settings = {"act": "relu", "model": "bn"}
        >>> Configuration(settings, [], *[nothing] * 4, None, *[nothing] * 3).name
        'act=relu model=bn'
    """

    settings: dict[str, str]
    runs: list[Record]
    objective: MeanStd
    best: MeanStd
    final: MeanStd
    tested: MeanStd
    score: float | None
    gain: MeanStd
    seconds: MeanStd
    trainable: MeanStd

    @property
    def name(self) -> str:
        """The settings as one types them."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items()) or "(defaults)"

    @property
    def statuses(self) -> Counter[str]:
        """How many runs have each status."""
        return Counter(run.status for run in self.runs)

    @property
    def verdicts(self) -> Counter[str]:
        """How many runs have each verdict."""
        return Counter(run.verdict for run in self.runs if run.verdict)

    @property
    def ended(self) -> list[Record]:
        """The runs that count, which completed or stopped early."""
        return [run for run in self.runs if run.status.counts]


@dataclass(frozen=True)
class Sweep:
    """The aggregate of a sweep.

    Attributes:
        keys: the swept keys in the order they were typed, without those of replicates.
        replicates: ``seed``, and ``fold`` in cross-validation -> how many different ones.
        objective: the metric that ranks; None where no run has one.
        metric: the metric whose best and final value are shown.
        tested: the objective's metric of the test, in cross-validation; else None.
        rows: the configurations, the best first.
        effects: key -> value -> the objective over all configurations that have it: where every combination was run,
            its mean over all other keys.
        interactions: pair of keys -> pair of values -> the same.
    """

    keys: list[str]
    replicates: dict[str, int]
    objective: Objective | None
    metric: Objective | None
    tested: Objective | None
    rows: list[Configuration]
    effects: dict[str, dict[str, MeanStd]] = field(default_factory=dict)
    interactions: dict[tuple[str, str], dict[tuple[str, str], MeanStd]] = field(default_factory=dict)

    @property
    def runs(self) -> list[Record]:
        return [run for row in self.rows for run in row.runs]

    @property
    def statuses(self) -> Counter[str]:
        return Counter(run.status for run in self.runs)

    @property
    def best(self) -> Configuration | None:
        """The first configuration with a result."""
        return next((row for row in self.rows if row.objective.n), None)

    @property
    def lower_is_better(self) -> bool:
        return self.objective is not None and self.objective.lower_is_better


def shows_trainable(sweep: Sweep) -> bool:
    """Returns whether depths are compared, and theory sets a limit to them."""
    return any("depth" in key for key in sweep.keys) and any(row.trainable.n for row in sweep.rows)


def typed_settings(overrides: Iterable[str]) -> dict[str, str]:
    """Returns the settings that some overrides make, by key without signs of addition.

    Example:
        >>> typed_settings(["act=elu", "+model.x=1", "~callbacks.best"])
        {'act': 'elu', 'model.x': '1', '~callbacks.best': ''}
    """
    pairs = (word.lstrip("+").partition("=") for word in overrides)
    return {key: value for key, _, value in pairs if key not in RUN_KEYS}


def fold(records: Sequence[Record]) -> Sweep:
    """Groups runs that differ in nothing but the seed or the fold, ranks the groups, and averages over them.

    Of several runs of the very same settings (such as a killed one and its repetition) the last that is over counts.
    """
    latest = _latest(records)
    keys = _swept([settings for settings, _ in latest])
    groups: dict[tuple[str, ...], list[Record]] = {}
    for settings, record in latest:
        groups.setdefault(tuple(settings.get(key, "") for key in keys), []).append(record)
    objective = Objective.common(record.objective for record in records)
    logged = {tag for record in records for tag in record.result.metrics}
    metric = Objective.resolve(logged)
    named = [({k: v for k, v in zip(keys, values, strict=True) if v}, runs) for values, runs in groups.items()]
    replicates = _replicates(records)
    tested = _of_the_test(objective, logged) if "fold" in replicates else None
    rows = [_configuration(settings, runs, objective, metric, tested) for settings, runs in named]
    rows.sort(key=lambda row: (row.score is None, -(row.score or 0.0)))
    effects = {key: {value: _mean_where(rows, {key: value}) for value in _values(rows, key)} for key in keys}
    interactions = {
        (a, b): {(x, y): _mean_where(rows, {a: x, b: y}) for x in _values(rows, a) for y in _values(rows, b)}
        for a, b in combinations(keys, 2)
    }
    return Sweep(keys, replicates, objective, metric, tested, rows, effects, interactions)


def _replicates(records: Sequence[Record]) -> dict[str, int]:
    folds = {typed_settings(record.overrides).get(FOLD) for record in records} - {None}
    seeds = {record.seed for record in records}
    return ({"fold": len(folds)} if len(folds) > 1 else {}) | {"seed": len(seeds)}


def _of_the_test(objective: Objective | None, logged: Collection[str]) -> Objective | None:
    if objective is None:
        return None
    tested = Objective(objective.tag.replace("val/", "test/", 1), objective.mode)
    return tested if tested.tag in logged else None


def _latest(records: Sequence[Record]) -> list[tuple[dict[str, str], Record]]:
    """Settings and run, of several attempts the one that counts."""
    found: dict[tuple[tuple[str, str], ...], tuple[dict[str, str], Record]] = {}
    for record in records:
        settings = typed_settings(record.overrides)
        key = tuple(sorted(settings.items()))
        if key not in found or record.status.precedence >= found[key][1].status.precedence:
            found[key] = (settings, record)
    return list(found.values())


def _swept(all_settings: Sequence[Mapping[str, str]]) -> list[str]:
    keys = dict.fromkeys(key for settings in all_settings for key in settings if key not in REPLICATES)
    return [key for key in keys if len({settings.get(key) for settings in all_settings}) > 1]


def _configuration(
    settings: dict[str, str],
    runs: list[Record],
    objective: Objective | None,
    metric: Objective | None,
    tested: Objective | None,
) -> Configuration:
    counted = [run for run in runs if run.status.counts]

    def mean_std(shown: Objective | None, which: Literal["best", "final"]) -> MeanStd:
        return MeanStd.of(run.metric(shown.tag, which) for run in counted) if shown else MeanStd.of([])

    return Configuration(
        settings,
        runs,
        objective=mean_std(objective, "best"),
        best=mean_std(metric, "best"),
        final=mean_std(metric, "final"),
        tested=mean_std(tested, "final"),
        score=_score(runs, objective),
        gain=MeanStd.of(run.vitals.get("gain_per_layer") for run in runs),
        seconds=MeanStd.of(run.result.seconds for run in counted),
        trainable=MeanStd.of((run.vitals.get("preflight") or {}).get("trainable_depth") for run in runs),
    )


def _score(runs: Sequence[Record], objective: Objective | None) -> float | None:
    if objective is None:
        return None
    mean = MeanStd.of(run.result.value_of(objective) for run in runs if run.status.is_over).mean
    return None if mean is None else objective.score(mean)


def _values(rows: Sequence[Configuration], key: str) -> list[str]:
    values = dict.fromkeys(row.settings.get(key, "") for row in rows)
    try:
        return sorted(values, key=float)
    except ValueError:
        return sorted(values)


def _mean_where(rows: Sequence[Configuration], wanted: Mapping[str, str]) -> MeanStd:
    chosen = (row for row in rows if all(row.settings.get(key, "") == value for key, value in wanted.items()))
    return MeanStd.of(row.objective.mean for row in chosen)
