"""The tags under which numbers are logged: ``quantity/LAYER``, of layers or, in very deep networks, of blocks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from gradvitals.vitals import Layer

TOGETHER = ("grad_norm", "grad_norm_clipped", "weight_norm")  # norms that have a norm together
ByLabel = Mapping[str, Mapping[str, float]]  # quantity -> label of a layer or block -> value


def tagged(by_layer: ByLabel, totals: Mapping[str, float]) -> dict[str, float]:
    """Returns the numbers of layers or blocks by tag, and with them the totals, which have their tags already.

    Example:
        >>> tagged({"grad_norm": {"00.net": 1.0}}, {"grad_norm/total": 2.0})
        {'grad_norm/00.net': 1.0, 'grad_norm/total': 2.0}
    """
    layers = {f"{quantity}/{label}": value for quantity, found in by_layer.items() for label, value in found.items()}
    return {**layers, **totals}


def untagged(
    numbers: Mapping[str, float], labels: Collection[str]
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Returns what :func:`tagged` was given, from a checkpoint that contains tags.

    Example:
        >>> untagged({"grad_norm/00.net": 1.0, "grad_norm/total": 2.0}, ["00.net"])
        ({'grad_norm': {'00.net': 1.0}}, {'grad_norm/total': 2.0})
    """
    by_layer: dict[str, dict[str, float]] = {}
    totals: dict[str, float] = {}
    for tag, value in numbers.items():
        quantity, _, label = tag.partition("/")
        of_layer = label in labels
        (by_layer.setdefault(quantity, {}) if of_layer else totals)[label if of_layer else tag] = value
    return by_layer, totals


def by_block(values: ByLabel, layers: Sequence[Layer], num_blocks: int) -> dict[str, dict[str, float]]:
    """Replaces the numbers of layers by those of blocks of neighboring layers, as equal in size as they can be.

    Norms of weights and their gradients are those of the block's weights together; everything else is the mean of the
    block's layers. A block is called ``{first index}-{last index}.{first layer's name}``.

    Example:
        >>> layers = [Layer(n, i, f"0{i}.{n}", "Linear", 1) for i, n in enumerate("abcd")]
        >>> by_block({"grad_norm": {"00.a": 3.0, "01.b": 4.0}}, layers, 2)
        {'grad_norm': {'00-01.a': 5.0}}
    """
    block_of = _blocks(layers, num_blocks)
    joined: dict[str, dict[str, list[float]]] = {quantity: {} for quantity in values}
    for quantity, of_layers in values.items():
        for label, value in of_layers.items():
            joined[quantity].setdefault(block_of[label], []).append(value)
    return {
        quantity: {block: _together(quantity, found) for block, found in blocks.items()}
        for quantity, blocks in joined.items()
    }


def _blocks(layers: Sequence[Layer], num_blocks: int) -> dict[str, str]:
    names: dict[str, str] = {}
    for _, neighbors in groupby(layers, lambda layer: layer.index * num_blocks // len(layers)):
        block = list(neighbors)
        first, last = block[0].label.partition(".")[0], block[-1].label.partition(".")[0]
        names |= {layer.label: f"{first}-{last}.{block[0].name}" for layer in block}
    return names


def _together(quantity: str, values: list[float]) -> float:
    if len(values) == 1:
        return values[0]
    return sum(v**2 for v in values) ** 0.5 if quantity in TOGETHER else sum(values) / len(values)
