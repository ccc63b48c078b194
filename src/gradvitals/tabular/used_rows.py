"""Which rows of a table are used, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import visible
from gradvitals.tabular.description import LeftOutRows
from gradvitals.tabular.find_target import FoundTarget
from gradvitals.tabular.missing import MissingWords
from gradvitals.tabular.totals import totals_rows


@dataclass(frozen=True)
class UsedRows:
    """The rows of a table that are used, and the others by reason."""

    cells: pd.DataFrame
    left_out: tuple[LeftOutRows, ...] = ()

    def without_totals(self, levels: Mapping[str, Sequence[str]] | None = None) -> UsedRows:
        """Leaves out the last rows that sum up the others; ``levels``: column -> names that are no totals there."""
        lines = totals_rows(self.cells, levels)
        return self._without(self.cells.index.isin(lines), "totals of the rows above")

    def with_target(self, found: FoundTarget) -> UsedRows:
        """Leaves out the rows without a target."""
        instead = tuple(
            f"{text} in {count} {'row' if count == 1 else 'rows'}" for text, count in found.left_out.items()
        )
        return self._without(~found.has_value, f"without a value of {visible(found.target.name)!r}", instead)

    def with_values(self, names: Sequence[str], missing: MissingWords) -> UsedRows:
        """Leaves out the rows without a value of any of some columns."""
        rows = self
        for name in filter(None, names):
            absent = missing.absent(rows.cells[name]).to_numpy(bool)
            rows = rows._without(absent, f"without a value of {visible(name)!r}")
        return rows

    def _without(self, gone: NDArray, reason: str, examples: tuple[str, ...] = ()) -> UsedRows:
        if not gone.any():
            return self
        rows = self.cells[gone]
        left_out = LeftOutRows(len(rows), reason, examples or _shown(rows.head(3)))
        return UsedRows(self.cells[~gone], (*self.left_out, left_out))


def _shown(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(
        f"line {line}: {visible(', '.join(filter(None, map(str, row))))[:60]}"
        for line, row in zip(rows.index, rows.to_numpy(), strict=True)
    )
