"""The column to predict, as it was fitted: class names, or the scale of a quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import setting, shortened, visible
from gradvitals.tabular.fitted_columns import SHIFT, Scale, first_string, refuse_infinite, typed_numbers
from gradvitals.tabular.labels import PLAIN_NUMBER, as_strings, canonical, canonical_number, counted_names
from gradvitals.tabular.missing import MissingWords
from gradvitals.tabular.numbers import NumberFormat, numbers

MOST_OFFERED = 50  # values in one command
KEY = "data.target_missing"


@dataclass(frozen=True)
class Target:
    """The fitted column to predict.

    Attributes:
        classes: their names in the order of the network's outputs; empty for a regression.
        exact: whether case and inner blanks distinguish classes.
        absent: canonical values such as NA that mean that a row has no target.
        format: how numbers are written.
        center, scale: ``(y - center) / scale`` of a quantity.
        mean, deviation: of the training rows' quantities, unscaled.
    """

    name: str
    task: str
    classes: tuple[str, ...] = ()
    exact: bool = False
    absent: tuple[str, ...] = ()
    format: NumberFormat = field(default_factory=NumberFormat)
    center: float = 0.0
    scale: float = 1.0
    mean: float = 0.0
    deviation: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Target:
        tuples = {name: tuple(values[name]) for name in ("classes", "absent")}
        return cls(**{**values, **tuples, "format": NumberFormat(**values["format"])})

    def has_value(self, column: pd.Series, missing: MissingWords) -> NDArray[np.bool_]:
        """Returns which rows have a target, ``(rows,)``."""
        strings = as_strings(column)
        names = canonical_names(strings)
        is_class = names.isin([canonical(name) for name in self.classes])  # "-" beside "+"
        absent = (missing.absent(strings, words=not self.classes) & ~is_class) | names.isin(self.absent)
        return ~absent.to_numpy(bool)

    def numbers(self, column: pd.Series) -> NDArray:
        """Returns class numbers, or scaled quantities, of rows that have a target.

        Raises:
            ValueError: a class that the training table does not have, or a string instead of a quantity.
        """
        if not self.classes:
            return (self.quantities(column) - self.center) / self.scale
        known = {canonical(name, self.exact): at for at, name in enumerate(self.classes)}
        strings = as_strings(column)
        found = self._names(strings).map(known).fillna(-1)
        if (found < 0).any():
            new = strings[found < 0]
            words = shortened(counted_names(new), 5)
            raise ValueError(
                f"expected the classes {shortened([repr(name) for name in self.classes], 10)} of the training table in "
                f"column {visible(self.name)!r}; got {words}. To leave those rows out, set "
                f"{setting(KEY, [str(name) for name in new.value_counts().index])}"
            )
        return found.to_numpy(np.int64)

    def _names(self, strings: pd.Series) -> pd.Series:
        """Returns canonical names; of classes that are numbers, however they are written: 1, 1,0 and 1.0."""
        names = canonical_names(strings, self.exact)
        if all(map(PLAIN_NUMBER.fullmatch, self.classes)):
            unique = pd.Series(strings.unique(), dtype=object)
            values = numbers(unique, likely=self.format.decimal).values
            pairs = zip(unique, values, strict=True)
            read = {text: canonical_number(value) for text, value in pairs if not np.isnan(value)}
            return strings.map(read).where(strings.isin(list(read)), names)
        return names

    def quantities(self, column: pd.Series) -> NDArray[np.float64]:
        """Returns the quantities in their own unit."""
        if (typed := typed_numbers(column)) is not None:
            return typed
        strings = as_strings(column)
        found = numbers(strings, likely=self.format.decimal)
        if np.isnan(found.values).any():
            stray = strings[np.isnan(found.values)]
            raise ValueError(
                f"expected numbers in {visible(self.name)!r}; got {first_string(stray)}. To leave such rows out, set "
                f"{setting(KEY, list(map(str, stray.unique()[:MOST_OFFERED])))}"
            )
        refuse_infinite(found.values, column)
        return found.values

    def unscaled(self, outputs: NDArray) -> NDArray[np.float64]:
        """Returns a network's outputs ``(rows,)`` in the quantity's own unit."""
        return outputs.astype(np.float64) * self.scale + self.center

    def fitted_to(self, quantities: NDArray[np.float64], scaling: str) -> Target:
        """Returns the target with the scale of the training rows' quantities, chosen as those of the features."""
        scale = Scale.fit(quantities, scaling)
        return replace(self, center=scale.center, scale=scale.scale, mean=scale.mean, deviation=scale.deviation)

    def shift(self, quantities: NDArray[np.float64]) -> str:
        """Returns in words how new quantities differ from the training rows'; empty: not by much."""
        moved = abs(float(quantities.mean()) - self.mean) / self.deviation if self.deviation else 0.0
        return f"the mean is {moved:.0f} deviations from the training rows'" if moved >= SHIFT else ""


def canonical_names(strings: pd.Series, exact: bool = False) -> pd.Series:
    """Returns what is equal for two spellings of one name, for each of some strings."""
    return strings.map({text: canonical(text, exact) for text in pd.unique(strings)})
