"""One file per problem: the rule that detects it, and which other problems are its symptoms.

A rule is a module in this folder, named like the verdict, with a function ``judge(history, limits) -> Finding | None``
and ``EXPLAINS``, the verdicts that are its symptoms if both are found. To add a rule, add a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.thresholds import Thresholds

# What most causes that keep a net from learning at all bring with them.
SYMPTOMS = ("vanishing", "exploding", "dead_units", "saturated", "non_finite", "stalled", "unstable", "overclipped")


@dataclass(frozen=True)
class Rule:
    """A rule; its name is the verdict."""

    name: str
    judge: Callable[[History, Thresholds], Finding | None]
    explains: tuple[str, ...]


@cache
def rules() -> tuple[Rule, ...]:
    """Returns all rules, by name.

    Example:
        >>> [rule.name for rule in rules()][:3]
        ['bad_data', 'dead_units', 'exploding']
    """
    modules = {info.name: import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)}
    return tuple(Rule(name, module.judge, tuple(module.EXPLAINS)) for name, module in modules.items())
