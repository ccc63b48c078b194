"""A sweep's runs folded into an answer: configurations over seeds, ranked, and what each swept key does on average."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from gradvitals.results.objective import Objective
from gradvitals.results.record import Record
from gradvitals.results.status import ENDED, UNFINISHED

SEED = "seed"
OF_THE_RUN = ("ckpt_path",)  # how a run went on, no setting of it


@dataclass(frozen=True)
class MeanStd:
    """Mean and standard deviation of some numbers.

    Attributes:
        mean: None where there is no number.
        sd: of the sample (n - 1); None below two numbers.
        n: how many.

    Example:
        >>> MeanStd.of([1.0, None, 3.0])
        Spread(mean=2.0, sd=1.4142135623730951, n=2)
    """

    mean: float | None
    sd: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> MeanStd:
        """Of those that are finite numbers."""
        known = [value for value in values if value is not None and math.isfinite(value)]
        if not known:
            return cls(None, None, 0)
        mean = math.fsum(known) / len(known)
        squares = math.fsum((value - mean) ** 2 for value in known)
        return cls(mean, math.sqrt(squares / (len(known) - 1)) if len(known) > 1 else None, len(known))


@dataclass(frozen=True)
class Configuration:
    """One combination of the swept keys, whatever the seed.

    Attributes:
        settings: swept key -> value as typed; the seed is none of them.
        runs: one for each seed.
        objective, best, final: of the runs that ended: the sweep's objective, and the shown metric's two values.
        worth: what ranks it, the higher the better: a run that diverged counts with the worst value; None: no run
            ended or diverged.
        gain, seconds: gain per layer at the first step, and time of the fit.
        trainable: depth that theory allows before any training; where it sets no limit there is no number.
    """

    settings: dict[str, str]
    runs: list[Record]
    objective: MeanStd
    best: MeanStd
    final: MeanStd
    worth: float | None
    gain: MeanStd
    seconds: MeanStd
    trainable: MeanStd

    @property
    def name(self) -> str:
        """The settings as one types them."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items()) or "(defaults)"

    @property
    def statuses(self) -> Counter[str]:
        """How many runs came to which end."""
        return Counter(run.status for run in self.runs)

    @property
    def verdicts(self) -> Counter[str]:
        """How many runs were given which verdict."""
        return Counter(run.verdict for run in self.runs if run.verdict)

    @property
    def ended(self) -> list[Record]:
        """The runs whose numbers count."""
        return [run for run in self.runs if run.status in ENDED]


@dataclass(frozen=True)
class Sweep:
    """What a sweep has found.

    Attributes:
        keys: the swept keys in the order they were typed, without the seed.
        seeds: how many different ones.
        objective: the metric that ranks; None where no run has one.
        metric: the metric whose best and final value are shown.
        rows: the configurations, the best first.
        effects: key -> value -> the objective over all configurations that have it.
        interactions: pair of keys -> pair of values -> the same.
    """

    keys: list[str]
    seeds: int
    objective: Objective | None
    metric: Objective | None
    rows: list[Configuration]
    effects: dict[str, dict[str, MeanStd]] = field(default_factory=dict)
    interactions: dict[tuple[str, str], dict[tuple[str, str], MeanStd]] = field(default_factory=dict)

    @property
    def runs(self) -> list[Record]:
        """All runs."""
        return [run for row in self.rows for run in row.runs]

    @property
    def statuses(self) -> Counter[str]:
        """How many runs came to which end."""
        return Counter(run.status for run in self.runs)

    @property
    def lower_is_better(self) -> bool:
        """Whether the objective is one of which lower values are better."""
        return self.objective is not None and self.objective.lower_is_better


def shows_trainable(sweep: Sweep) -> bool:
    """Whether depths are compared, and theory has a word on them."""
    return any("depth" in key for key in sweep.keys) and any(row.trainable.n for row in sweep.rows)


def typed_settings(overrides: Iterable[str]) -> dict[str, str]:
    """Typed overrides by key, without signs of addition.

    Example:
        >>> typed_settings(["act=elu", "+model.x=1", "~callbacks.best"])
        {'act': 'elu', 'model.x': '1', '~callbacks.best': ''}
    """
    pairs = (word.lstrip("+").partition("=") for word in overrides)
    return {key: value for key, _, value in pairs if key not in OF_THE_RUN}


def fold(records: Sequence[Record]) -> Sweep:
    """Group runs that differ in nothing but the seed, rank the groups, and average over the rest.

    Of several runs of the very same settings (a killed one and its repetition) the last that ended counts.
    """
    latest = _latest(records)
    keys = _swept([settings for settings, _ in latest])
    groups: dict[tuple[str, ...], list[Record]] = {}
    for settings, record in latest:
        groups.setdefault(tuple(settings.get(key, "") for key in keys), []).append(record)
    objective, metric = Objective.common(record.objective for record in records), _shown(records)
    named = [({k: v for k, v in zip(keys, values, strict=True) if v}, runs) for values, runs in groups.items()]
    rows = [_configuration(settings, runs, objective, metric) for settings, runs in named]
    rows.sort(key=lambda row: (row.worth is None, -(row.worth or 0.0)))
    seeds = len({record.seed for record in records})
    return Sweep(keys, seeds, objective, metric, rows, _effects(rows, keys), _interactions(rows, keys))


def _latest(records: Sequence[Record]) -> list[tuple[dict[str, str], Record]]:
    """Settings and run, the last and furthest attempt of each."""
    found: dict[tuple[tuple[str, str], ...], tuple[dict[str, str], Record]] = {}
    for record in records:
        settings = typed_settings(record.overrides)
        key = tuple(sorted(settings.items()))
        if key not in found or _ended(record) >= _ended(found[key][1]):
            found[key] = (settings, record)
    return list(found.values())


def _ended(record: Record) -> int:
    """How far an attempt came: what was lost or failed is replaced by what was not."""
    return UNFINISHED.index(record.status) if record.status in UNFINISHED else len(UNFINISHED)


def _swept(all_settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Keys whose values differ, in the order of their first appearance."""
    keys = dict.fromkeys(key for settings in all_settings for key in settings if key != SEED)
    return [key for key in keys if len({settings.get(key) for settings in all_settings}) > 1]


def _shown(records: Sequence[Record]) -> Objective | None:
    """The metric that most people look at, whatever the objective is."""
    return Objective.resolve({tag for record in records for tag in record.result.get("metrics", {})})


def _configuration(
    settings: dict[str, str], runs: list[Record], objective: Objective | None, metric: Objective | None
) -> Configuration:
    ended = [run for run in runs if run.status in ENDED]

    def spread(shown: Objective | None, which: str) -> MeanStd:
        return MeanStd.of(run.metric(shown.tag, which) for run in ended) if shown else MeanStd.of([])

    return Configuration(
        settings,
        runs,
        objective=spread(objective, "best"),
        best=spread(metric, "best"),
        final=spread(metric, "final"),
        worth=_worth(runs, objective),
        gain=MeanStd.of(run.vitals.get("gain_per_layer") for run in runs),
        seconds=MeanStd.of(run.seconds for run in ended),
        trainable=MeanStd.of((run.vitals.get("preflight") or {}).get("trainable_depth") for run in runs),
    )


def _worth(runs: Sequence[Record], objective: Objective | None) -> float | None:
    if objective is None:
        return None
    mean = MeanStd.of(objective.value(run.result) for run in runs if run.status in (*ENDED, "diverged")).mean
    return None if mean is None else objective.score(mean)


def _effects(rows: Sequence[Configuration], keys: Sequence[str]) -> dict[str, dict[str, MeanStd]]:
    """Of each key the means of configurations by value: where every combination was run, the mean over all the rest."""
    return {key: {v: _of(rows, {key: v}) for v in _values(rows, key)} for key in keys}


def _interactions(
    rows: Sequence[Configuration], keys: Sequence[str]
) -> dict[tuple[str, str], dict[tuple[str, str], MeanStd]]:
    return {
        (a, b): {(x, y): _of(rows, {a: x, b: y}) for x in _values(rows, a) for y in _values(rows, b)}
        for a, b in combinations(keys, 2)
    }


def _values(rows: Sequence[Configuration], key: str) -> list[str]:
    """Numbers by size, words by the alphabet."""
    values = list(dict.fromkeys(row.settings.get(key, "") for row in rows))
    return sorted(values, key=float) if all(map(_is_number, values)) else sorted(values)


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _of(rows: Sequence[Configuration], wanted: Mapping[str, str]) -> MeanStd:
    chosen = (row for row in rows if all(row.settings.get(key, "") == value for key, value in wanted.items()))
    return MeanStd.of(row.objective.mean for row in chosen)
