"""What a search may choose: Hydra's syntax for sweeps, as Optuna's distributions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.types import Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from gradvitals.errors import ConfigError

Space = dict[str, BaseDistribution]


def space_of(overrides: Iterable[Override]) -> tuple[Space, list[str]]:
    """Returns the searched keys with their distributions, and the overrides that all trials share.

    ``choice(a,b)`` or ``a,b``; ``range(1,9)`` without its end; ``interval(0,1)``; ``int(interval(1,9))`` with both
    ends; ``tag(log,...)`` searches the logarithm. Of two overrides of a key the last one counts.

    Raises:
        ConfigError: a range that is empty, or whose logarithm does not exist.
    """
    space: Space = {}
    shared: dict[str, str] = {}
    for override in overrides:
        key = override.get_key_element()
        space.pop(key, None)
        shared.pop(key, None)
        if override.is_sweep_override():
            space[key] = _distribution(override)
        else:
            shared[key] = f"{key}={override.get_value_element_as_str()}"
    return space, list(shared.values())


def _distribution(override: Override) -> BaseDistribution:
    if override.is_choice_sweep():
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    value: Any = override.value()
    try:
        return _range(value) if isinstance(value, RangeSweep) else _interval(value)
    except ValueError as error:
        raise ConfigError(f"{override.input_line}: no range that can be searched: {error}") from None


def _range(value: RangeSweep) -> BaseDistribution:
    start, stop, step = value.start, value.stop, value.step
    assert start is not None
    assert stop is not None
    if all(isinstance(number, int) for number in (start, stop, step)):
        return IntDistribution(int(start), int(stop) - 1, log="log" in value.tags, step=int(step))
    last = math.ceil((stop - start) / step) - 1  # without the end, as Python's own range
    return FloatDistribution(float(start), float(start + last * step), step=float(step))


def _interval(value: Any) -> BaseDistribution:
    kind: Any = IntDistribution if isinstance(value.start, int) else FloatDistribution
    return kind(value.start, value.end, log="log" in value.tags)
