"""What was read of a table: the look at it before training, in ``result.json`` and on the page of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Remark:
    """A guess that may be wrong, or a property of the table that may spoil the training.

    Attributes:
        text: one sentence without a full stop.
        setting: the override, quoted for a shell, that decides otherwise; empty where there is none.

    Example:
        >>> str(Remark("x: 1,234 was read as 1234", "data.decimal=comma"))
        'x: 1,234 was read as 1234; to change it: data.decimal=comma'
    """

    text: str
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.text}; to change it: {self.setting}" if self.setting else self.text


@dataclass(frozen=True)
class LeftOutRows:
    """Rows of the file that are not used.

    Attributes:
        rows: how many.
        reason: why, in a few words: ``no value of Survived``.
        examples: some of these rows, or of their cells, as the file writes them.
    """

    rows: int
    reason: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnDescription:
    """One column of the file, and what became of it.

    Attributes:
        kind: ``number``, ``category``, ``date``, ``target``, ``group``, ``time``, ``series`` or ``left out``.
        detail: in words: the range of numbers, the levels of a category, why a column is left out.
        missing: number of cells without a value.
        imputed: what replaces them; empty where nothing is missing.
        scaled: how the values are scaled, or encoded as numbers; empty where they are not.
        features: number of inputs of the network that the column became.
    """

    name: str
    kind: str
    detail: str
    missing: int = 0
    imputed: str = ""
    scaled: str = ""
    features: int = 0


@dataclass(frozen=True)
class TableDescription:
    """What was read of a table.

    Attributes:
        path: the file.
        written: how the file writes its table: encoding, separator, decimal sign.
        rows: number of rows that are used.
        left_out: the other rows, by reason.
        target: name of the column to predict.
        task: ``binary``, ``multiclass`` or ``regression``.
        task_source: how the task was found, in words.
        classes: class name -> rows; empty for a regression.
        columns: every column of the file, in its order.
        splits: name -> rows.
        split_by: how the rows were split, in words.
        remarks: guesses, and what people should know before they train.
    """

    path: str
    written: str
    rows: int
    left_out: tuple[LeftOutRows, ...]
    target: str
    task: str
    task_source: str
    classes: dict[str, int]
    columns: tuple[ColumnDescription, ...]
    splits: dict[str, int]
    split_by: str
    remarks: tuple[Remark, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, for ``result.json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TableDescription:
        """Reads what :meth:`to_dict` returned, also after it was JSON.

        Raises:
            ValueError: the values have another shape.
        """
        try:
            parts = {
                "left_out": tuple(_left_out(**row) for row in values["left_out"]),
                "columns": tuple(_column(**column) for column in values["columns"]),
                "remarks": tuple(Remark(**remark) for remark in values["remarks"]),
                **{key: {str(k): int(n) for k, n in values[key].items()} for key in ("classes", "splits")},
                "rows": int(values["rows"]),
            }
            return cls(**{**values, **parts})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ValueError(f"expected the description of a table; got one of another shape ({error})") from None


def _left_out(rows: Any, reason: str, examples: Iterable[object]) -> LeftOutRows:
    return LeftOutRows(int(rows), reason, tuple(map(str, examples)))


def _column(missing: Any, features: Any, **texts: str) -> ColumnDescription:
    return ColumnDescription(missing=int(missing), features=int(features), **texts)
