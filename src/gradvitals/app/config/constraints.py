"""What a value must be, as a description and as a test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradvitals.errors import FLOAT32_MAX


@dataclass(frozen=True)
class Constraint:
    """What a value must be: the description for errors, the test, and the kind of every value but null.

    Where values have several kinds, as in ``1`` or ``auto``, the kind is ``str``: all of them can be written as one.
    """

    expected: str
    accepts: Callable[[Any], bool]
    kind: type = str


def number(low: float = -math.inf, high: float = math.inf, above: float = -math.inf) -> Constraint:
    """Returns the constraint of a number in the range of float32 and of ``low`` to ``high``, greater than ``above``."""
    bounds = [f"of at least {low:g}"] * (low > -math.inf) + [f"above {above:g}"] * (above > -math.inf)
    bounds += [f"at most {high:g}"] * (high < math.inf)

    def accepts(value: Any) -> bool:
        real = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= FLOAT32_MAX
        return real and low <= value <= high and value > above

    return Constraint(" ".join(["a number", " and ".join(bounds)]).strip(), accepts, float)


def integer(low: int, high: int = 2**63 - 1) -> Constraint:
    """Returns the constraint of an integer in a range."""
    upto = f"from {low} to {high}" if high < 2**63 - 1 else f"of at least {low}"
    return Constraint(
        f"an integer {upto}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
        float,
    )


def one_of(*values: Any) -> Constraint:
    """Returns the constraint of one of some values; true and false are not 1 and 0."""
    names = ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
    return Constraint(
        f"one of {names}",
        lambda value: any(value is v or (value == v and type(value) is type(v)) for v in values),
        _common(float if type(value) is int else type(value) for value in values),
    )


def either(*rules: Constraint) -> Constraint:
    """Returns the constraint that any of several are met."""
    return Constraint(
        " or ".join(rule.expected for rule in rules),
        lambda value: any(rule.accepts(value) for rule in rules),
        _common(rule.kind for rule in rules),
    )


def _common(types: Iterable[type]) -> type:
    found = set(types)
    return found.pop() if len(found) == 1 else str


def optional(rule: Constraint) -> Constraint:
    """Returns the constraint that a value meets another one or is null."""
    return Constraint(f"{rule.expected}, or null", lambda value: value is None or rule.accepts(value), rule.kind)


def list_of(rule: Constraint, length: int | None = None) -> Constraint:
    """Returns the constraint of a list whose items all meet another one."""
    return Constraint(
        f"a list{f' of {length}' if length else ''}, each {rule.expected}",
        lambda value: isinstance(value, list) and length in (None, len(value)) and all(map(rule.accepts, value)),
    )


def mapping_of(rule: Constraint, *keys: str) -> Constraint:
    """Returns the constraint of a mapping whose values all meet another one, from ``keys`` where there are any."""
    names = f"any of {', '.join(keys)}" if keys else "names"
    return Constraint(
        f"a mapping from {names} to {rule.expected}",
        lambda value: (
            isinstance(value, Mapping)
            and (not keys or set(value) <= set(keys))
            and all(map(rule.accepts, value.values()))
        ),
    )


boolean = one_of(True, False)
string = Constraint("a string", lambda value: isinstance(value, str))
name = Constraint("a name", lambda value: isinstance(value, str) and value.strip() != "")
