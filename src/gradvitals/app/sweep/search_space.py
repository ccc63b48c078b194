"""What a search may choose: Hydra's own words for sweeps, as Optuna's distributions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override, RangeSweep

from gradvitals.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Space = dict[str, "BaseDistribution"]


def space_of(overrides: Iterable[Override]) -> tuple[Space, list[str]]:
    """The searched keys with their distributions, and the words that all trials share.

    ``choice(a,b)`` or ``a,b``; ``range(1,9)``, the end left out; ``interval(0,1)``; ``int(interval(1,9))``, both ends
    in; ``tag(log,...)`` searches the logarithm.
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
    from optuna.distributions import CategoricalDistribution

    if override.is_choice_sweep():
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    value: Any = override.value()
    try:
        return _range(value) if isinstance(value, RangeSweep) else _interval(value)
    except ValueError as error:  # an empty range, a logarithm of zero
        raise ConfigError(f"{override.input_line}: no range that can be searched: {error}") from None


def _range(value: RangeSweep) -> BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    start, stop, step = value.start, value.stop, value.step
    assert start is not None
    assert stop is not None
    if all(isinstance(number, int) for number in (start, stop, step)):
        return IntDistribution(int(start), int(stop) - 1, log="log" in value.tags, step=int(step))
    last = math.ceil((stop - start) / step) - 1  # as Python's own range, without the end
    return FloatDistribution(float(start), float(start + last * step), step=float(step))


def _interval(value: Any) -> BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    kind: Any = IntDistribution if isinstance(value.start, int) else FloatDistribution
    return kind(value.start, value.end, log="log" in value.tags)
