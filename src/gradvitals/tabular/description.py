"""What was read of a table: the look at it before training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Remark:
    """A guess that may be wrong, or something in a table that people want to know.

    Attributes:
        text: one sentence without a full stop.
        setting: the override, quoted for a shell, that decides otherwise; empty where there is none.

    Example:
        >>> str(Remark("x: 1,234 was read as 1234", "data.decimal=comma"))
        '1,234 was read as 1234 ...'
    """

    text: str
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.text}; otherwise: {self.setting}" if self.setting else self.text


@dataclass(frozen=True)
class LeftOutRows:
    """Rows that are not used: how many, why, and some of them as the file writes them."""

    rows: int
    reason: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnDescription:
    """A column: ``number``, ``category``, ``date``, ``target``, ``group``, ``time`` or ``left out``.

    Attributes:
        detail: in words: the range of numbers, the levels of a category, why a column is left out.
        missing: cells without a value.
        imputed: what replaces them; empty where nothing is missing.
        scaled: by what; empty where it is not.
        features: how many inputs of the network it became.
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
        rows: that are used.
        left_out: the other rows.
        target: name of the column to predict.
        task: ``binary``, ``multiclass`` or ``regression``.
        task_source: how the task was found.
        classes: class name -> rows; empty for a regression.
        columns: every column of the file.
        splits: name -> rows.
        split_by: in words, how the rows were split.
        remarks: guesses, and what people want to know.
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
    remarks: tuple[Remark, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, for ``result.json``."""
        return asdict(self)
