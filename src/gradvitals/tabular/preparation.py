"""What was fitted to a training table, as plain values, and how it turns any table of that kind into numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import setting, shortened, visible
from gradvitals.tabular.column_names import similar
from gradvitals.tabular.fitted_columns import FittedColumn, StrayCells, from_dict, to_dict
from gradvitals.tabular.missing import MissingWords
from gradvitals.tabular.target import MOST_OFFERED, Target

VERSION = 1


@dataclass(frozen=True)
class Preparation:
    """The fitted preparation of a table; a checkpoint contains it as plain values (:meth:`to_dict`).

    Attributes:
        columns: those that the network is given, in its order.
        known: the names of all columns of the training table.
        fingerprint: SHA-256 of the file that it was fitted to; empty: it was no file.
        rows: of the training table, that were used.
    """

    target: Target
    columns: tuple[FittedColumn, ...]
    known: tuple[str, ...]
    missing: MissingWords = field(default_factory=MissingWords)
    fingerprint: str = ""
    rows: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Returns numbers, strings, lists and dicts."""
        values = {
            "version": VERSION,
            "target": self.target.to_dict(),
            "columns": [to_dict(column) for column in self.columns],
            "known": self.known,
            "missing": self.missing.typed,
            "fingerprint": self.fingerprint,
            "rows": self.rows,
        }
        return json.loads(json.dumps(values))  # lists instead of tuples

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preparation:
        """Reads what :meth:`to_dict` returned.

        Raises:
            ValueError: it is something else, or of a later version.
        """
        if not isinstance(values, Mapping) or values.get("version") != VERSION:
            version = values.get("version") if isinstance(values, Mapping) else None
            raise ValueError(f"expected the preparation of a table in version {VERSION}; got version {version}")
        try:
            typed = values["missing"]
            return cls(
                Target.from_dict(values["target"]),
                tuple(from_dict(column) for column in values["columns"]),
                tuple(values["known"]),
                MissingWords(None if typed is None else tuple(typed)),
                str(values["fingerprint"]),
                int(values["rows"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected the preparation of a table; {type(error).__name__}: {error}") from None

    def features(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """Returns the inputs of a network, ``(rows, features)``; columns are found by name.

        Args:
            table: strings as a file writes them, or typed columns; its order and further columns do not matter.

        Raises:
            ValueError: columns are missing, or strings are where numbers or dates were.
        """
        self.require(table)
        table = table.set_axis(table.columns.map(str), axis=1)
        x = np.empty((len(table), sum(column.features for column in self.columns)), np.float32)
        at, stray = 0, []
        for column in self.columns:
            try:
                x[:, at : at + column.features] = column.transform(table[column.name], self.missing)
            except StrayCells as error:
                stray.append(error)
            at += column.features
        if stray:
            raise ValueError(self._of_stray(stray))
        return x

    def _of_stray(self, stray: Sequence[StrayCells]) -> str:
        """Names all columns at once."""
        strings = list(dict.fromkeys(text for error in stray for text in error.strings))
        missing = [*(self.missing.typed or ()), *strings[:MOST_OFFERED]]
        return f"expected {'; '.join(map(str, stray))}. If they mean missing, set {setting('data.missing', missing)}"

    def require(self, table: pd.DataFrame) -> None:
        """Raises ValueError if a table lacks columns, or has one twice; it names all of them."""
        names = [str(name) for name in table.columns]
        if twice := [column.name for column in self.columns if names.count(column.name) > 1]:
            raise ValueError(f"expected each column once; got {', '.join(repr(visible(name)) for name in twice)} twice")
        lacking = [column.name for column in self.columns if column.name not in names]
        if lacking:
            hints = "".join(
                f"; {visible(name)!r} may be called {visible(found[0])!r} here"
                for name in lacking
                if (found := similar(name, names))
            )
            names = [repr(visible(name)) for name in lacking]
            verb = "is" if len(lacking) == 1 else "are"
            raise ValueError(f"expected the columns of the training table; {', '.join(names)} {verb} missing{hints}")

    def has_target(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Returns which rows have a target, ``(rows,)``."""
        if self.target.name not in table.columns:
            return np.zeros(len(table), bool)
        return self.target.has_value(table[self.target.name], self.missing)

    def targets(self, table: pd.DataFrame) -> NDArray:
        """Returns class numbers, or scaled quantities, of rows that have a target, ``(rows,)``."""
        return self.target.numbers(table[self.target.name])

    def differences(self, table: pd.DataFrame) -> list[str]:
        """Returns how a table differs from the training table: new levels, other units, shifts, other columns."""
        found = [
            f"{visible(column.name)}: {text}"
            for column in self.columns
            if column.name in table.columns
            for text in column.differences(table[column.name], self.missing)
        ]
        new = [repr(visible(str(name))) for name in table.columns if str(name) not in self.known]
        return [*found, f"not in the training table, and not used: {shortened(new, 10)}"] if new else found

    def predictions(self, outputs: NDArray, index: pd.Index | None = None) -> pd.DataFrame:
        """Returns what a network's outputs predict.

        Args:
            outputs: probabilities ``(rows, classes)``, of a binary task ``(rows,)`` of the second class; quantities
                ``(rows,)`` of a regression, as the network gives them.
            index: of the rows.

        Returns:
            A column ``prediction`` with class names, or quantities in their own unit; for classes a column
            ``probability of CLASS`` each.
        """
        if not self.target.classes:
            return pd.DataFrame({"prediction": self.target.unscaled(outputs)}, index=index)
        shares = np.column_stack([1 - outputs, outputs]) if outputs.ndim == 1 else outputs
        names = np.array(self.target.classes, dtype=object)
        columns = {f"probability of {name}": shares[:, at] for at, name in enumerate(names)}
        return pd.DataFrame({"prediction": names[shares.argmax(1)], **columns}, index=index)
