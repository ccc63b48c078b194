"""What was fitted to a training table, as plain values, and how it turns any table of that kind into numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Preparation:
    """The fitted preparation of a table; a checkpoint contains it as plain values (:meth:`to_dict`)."""

    def to_dict(self) -> dict[str, Any]:
        """Returns numbers, strings, lists and dicts."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preparation:
        """Reads what :meth:`to_dict` returned; raises ValueError where it is something else."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the file that it was fitted to."""
        raise NotImplementedError

    def features(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """Returns ``(rows, features)``; columns are found by name. Raises ValueError: a column is missing."""
        raise NotImplementedError

    def targets(self, table: pd.DataFrame) -> NDArray:
        """Returns class numbers, or scaled quantities, ``(rows,)``."""
        raise NotImplementedError

    def differences(self, table: pd.DataFrame) -> list[str]:
        """Returns how a table differs from the training table: new levels, other units, shifts."""
        raise NotImplementedError

    def predictions(self, outputs: NDArray, index: pd.Index | None = None) -> pd.DataFrame:
        """Returns a column ``prediction`` (class names, or the quantity in its own unit) from the network's outputs
        ``(rows, outputs)``, and for classes ``probability of CLASS`` columns."""
        raise NotImplementedError
