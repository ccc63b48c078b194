"""What a monitor found, in a few lines: the verdict with its evidence, what may help, and the most telling layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gradvitals.diagnosis.diagnose import Diagnosis
from gradvitals.formatting import visible, wrapped
from gradvitals.report.tables.columns import aligned, name_end, percent, significant

WIDTH = 80  # columns of a terminal
LABEL = 10  # characters of what a line begins with
NAME = 32  # characters of a layer's name
FEW = 12  # layers up to which all are shown
NOT_MEASURED = "nothing was measured yet: the first training step is measured"
SHARES = ("dead_fraction", "saturated_fraction")
COLUMNS = {  # quantity -> its heading
    "grad_norm": "dL/dW",
    "activation_grad_norm": "dL/dh",
    "activation_std": "std",
    "dead_fraction": "dead",
    "saturated_fraction": "satur.",
    "update_ratio": "step/W",
}


@dataclass(frozen=True)
class LayerNumbers:
    """A layer and the latest number of each quantity that was measured."""

    index: int
    name: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class VitalsSummary:
    """What a monitor found.

    Attributes:
        diagnosis: the verdict with its findings.
        layers: by depth.
        measured: the first and the latest measured step; empty before there is one.
        clipped_fraction: share of the measured steps that clipping changed; None where nothing clips.
    """

    diagnosis: Diagnosis
    layers: Sequence[LayerNumbers] = ()
    measured: tuple[int, ...] = ()
    clipped_fraction: float | None = None

    @property
    def evidence(self) -> str:
        """Why the verdict is what it is, without the verdict's name."""
        found = self.diagnosis
        if not found.findings:
            return found.reason
        cause = found.findings[0]
        return f"{cause.evidence} ({cause.cause})" if cause.cause else cause.evidence

    @property
    def verdict(self) -> str:
        """The verdict, and since which step."""
        found = self.diagnosis
        return found.verdict if found.step is None else f"{found.verdict} at step {found.step}"

    @property
    def symptoms(self) -> list[str]:
        """What was found with the cause, a sentence each."""
        return [f"{finding.rule}: {finding.evidence}" for finding in self.diagnosis.findings[1:]]

    @property
    def steps(self) -> str:
        """What was measured when, and how often clipping changed something."""
        if not self.measured:
            return NOT_MEASURED
        first, latest = self.measured
        when = f"step {first}" if first == latest else f"steps {first} to {latest}; the table is of step {latest}"
        clipped = self.clipped_fraction
        return when if clipped is None else f"{when}; clipping changed {clipped:.0%} of the measured steps"


def text(found: VitalsSummary) -> str:
    """Returns the summary for a terminal, at most 80 columns wide where no word is longer.

    Example:
        >>> print(text(VitalsSummary(Diagnosis())))
        verdict   undecided: no step was measured
        measured  nothing was measured yet: the first training step is measured
    """
    evidence = f": {found.evidence}" if found.evidence else ""
    lines = [("verdict", f"{found.verdict}{evidence}"), *(("with it", symptom) for symptom in found.symptoms)]
    lines += [("advice", found.diagnosis.advice)] if found.diagnosis.advice else []
    lines.append(("measured", found.steps))
    said = [wrapped(f"{label:<{LABEL}}{' '.join(visible(words).split())}", LABEL, WIDTH) for label, words in lines]
    return "\n".join([*said, *_table(found)])


def columns(layers: Sequence[LayerNumbers]) -> dict[str, str]:
    """Returns the quantities that some layer has, and their headings."""
    return {name: title for name, title in COLUMNS.items() if any(name in layer.numbers for layer in layers)}


def cell(layer: LayerNumbers, quantity: str) -> str:
    """Returns a number of a layer as a cell of a table."""
    value = layer.numbers.get(quantity)
    if quantity in SHARES:
        return percent(value)
    return significant(value, 2 if quantity == "activation_std" else 3)


def telling(found: VitalsSummary) -> list[LayerNumbers | int]:
    """Returns the layers worth a look, and between them the number of those that are left out.

    They are all of a shallow network; of a deep one those of the findings, the first and the last ones, and those with
    the most extreme numbers.

    Example:
        >>> layers = [LayerNumbers(i, f"net.{i}", {"grad_norm": abs(i - 20.0)}) for i in range(40)]
        >>> [each if isinstance(each, int) else each.name for each in telling(VitalsSummary(Diagnosis(), layers))]
        ['net.0', 'net.1', 18, 'net.20', 17, 'net.38', 'net.39']
    """
    layers = found.layers
    if len(layers) <= FEW:
        return list(layers)
    last = len(layers) - 1
    chosen = {0, 1, last - 1, last} | {f.layer for f in found.diagnosis.findings if f.layer is not None}
    extremes: list[tuple[str, Callable[..., int]]] = [
        ("activation_grad_norm" if "activation_grad_norm" in columns(layers) else "grad_norm", min),
        ("dead_fraction", max),
        ("saturated_fraction", max),
        ("update_ratio", max),
    ]
    for quantity, most in extremes:
        known = [i for i, layer in enumerate(layers) if math.isfinite(layer.numbers.get(quantity, math.nan))]
        if known and (quantity not in SHARES or any(layers[i].numbers[quantity] > 0 for i in known)):
            chosen.add(most(known, key=lambda i, quantity=quantity: layers[i].numbers[quantity]))
    shown: list[LayerNumbers | int] = []
    before = -1
    for index in sorted(index for index in chosen if 0 <= index <= last):
        shown += [index - before - 1] if index - before > 1 else []
        shown.append(layers[index])
        before = index
    return shown


def layer_rows(found: VitalsSummary, longest: int) -> list[list[str]]:
    """Returns headings and a row for each telling layer, ``longest`` characters of its name; empty: not measured."""
    if not found.measured or not found.layers:
        return []
    quantities = columns(found.layers)
    rows = [["", "layer", *quantities.values()]]
    for each in telling(found):
        if isinstance(each, int):
            rows.append(["", f"... {each} more", *("" for _ in quantities)])
        else:
            named = [str(each.index), name_end(each.name, longest)]
            rows.append([*named, *(cell(each, quantity) for quantity in quantities)])
    return rows


def _table(found: VitalsSummary) -> list[str]:
    rows = layer_rows(found, NAME)
    if not rows:
        return []
    index, _, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    room = max(WIDTH - index - 2 - sum(others) - 2 * len(others), 12)
    return ["", *aligned([[place, name_end(name, room), *cells] for place, name, *cells in rows], left={1})]
