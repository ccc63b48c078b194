"""Tables as people write them, and what is offered by messages about them."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gradvitals.data.csv import Csv

Table = Callable[..., str]
SETTING = re.compile(r"""'data\.\w+=(?:[^']|'"'"')*'|data\.\w+=[^\s;]+""")


def write(folder: Path, columns: Mapping[str, Sequence[object]], separator: str = ",") -> str:
    """Writes a CSV; returns its path."""
    made = io.StringIO()
    writer = csv.writer(made, delimiter=separator, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path = folder / f"table{len(list(folder.iterdir()))}.csv"
    path.write_text(made.getvalue())
    return str(path)


def cycled(items: Sequence[object], rows: int = 60) -> list[object]:
    return [items[row % len(items)] for row in range(rows)]


def normal(rows: int = 60, seed: int = 0) -> list[str]:
    return [f"{value:.3f}" for value in np.random.default_rng(seed).normal(0, 1, rows)]


def loaded(path: str, target: object = "y", **options: Any) -> Csv:
    data = Csv(path, target, **options)
    data.setup()
    return data


def offers(message: str) -> list[str]:
    """The overrides that a message offers, as a shell passes them on."""
    found = []
    for each in SETTING.findall(message.partition(": expected")[2] or message):  # the head names a key, too
        words = shlex.split(each.rstrip(".,") if not each.startswith("'") else each)
        found += [word for word in words if re.match(r"data\.\w+=", word)]
    return found


def typed(overrides: Sequence[str]) -> dict[str, Any]:
    """Overrides as Hydra reads them, by the arguments of Csv."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    read = {each.key_or_group.removeprefix("data."): _plain(each.value()) for each in parsed}
    return OmegaConf.to_container(OmegaConf.create(read), resolve=True)  # type: ignore[return-value]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.text if hasattr(value, "text") else value


def remarks(data: Csv) -> list[str]:
    assert data.description is not None
    return list(map(str, data.description.remarks))


def described(data: Csv, name: str) -> tuple[str, str]:
    """A column's kind, and the detail."""
    assert data.description is not None
    return next((column.kind, column.detail) for column in data.description.columns if column.name == name)


def followed(
    path: str, target: object, message: str, options: Mapping[str, Any], steps: int = 2
) -> list[dict[str, Any]]:
    """Follows each offer of a refusal until the table loads, and returns the options with which it does.

    Raises:
        AssertionError: a message comes again, or an offer is still refused after some steps.
    """
    found = []
    for offer in offers(message):
        now, seen = {"target": target, **options, **typed([offer])}, [message]
        while refused := refusal(path, **now):
            assert refused not in seen, f"{offer} leads to the same message: {refused}"
            assert len(seen) <= steps, f"{offer} leads to {seen[1:]}"
            seen.append(refused)
            following = offers(refused)
            assert following, f"{offer} leads to {refused}"
            now |= typed(following[:1])
        found.append(now)
    return found


def refusal(path: str, **options: Any) -> str:
    """Why a table is refused; empty: it loads."""
    try:
        loaded(path, **options)
    except ValueError as error:
        return str(error)
    return ""
