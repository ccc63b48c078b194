"""Many layers as a few blocks, so that event files of very deep networks stay small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradvitals.vitals import Layer

TOGETHER = ("grad_norm", "grad_norm_clipped", "weight_norm")  # norms that have a norm together


def by_block(values: Mapping[str, float], layers: Sequence[Layer], num_blocks: int) -> dict[str, float]:
    """Replace the numbers of layers by those of blocks of neighbouring layers, as equal in size as they can be.

    Norms of weights and their gradients are those of the block's weights together; everything else is the mean of the
    block's layers. Other numbers stay. A block is called ``{first index}-{last index}.{first layer's name}``.

    Example:
        >>> layers = [Layer(n, i, f"0{i}.{n}", "Linear", 1) for i, n in enumerate("abcd")]
        >>> by_block({"grad_norm/00.a": 3.0, "grad_norm/01.b": 4.0, "grad_norm/total": 9.0}, layers, 2)
        {'grad_norm/00-01.a': 5.0, 'grad_norm/total': 9.0}
    """
    block_of = _blocks(layers, num_blocks)
    joined: dict[str, list[float]] = {}
    for tag, value in values.items():
        kind, _, label = tag.partition("/")
        joined.setdefault(f"{kind}/{block_of[label]}" if label in block_of else tag, []).append(value)
    return {tag: _together(tag.partition("/")[0], found) for tag, found in joined.items()}


def _blocks(layers: Sequence[Layer], num_blocks: int) -> dict[str, str]:
    blocks: dict[int, list[Layer]] = {}
    for layer in layers:
        blocks.setdefault(layer.index * num_blocks // len(layers), []).append(layer)
    names: dict[str, str] = {}
    for block in blocks.values():
        first, last = block[0].label.partition(".")[0], block[-1].label.partition(".")[0]
        names |= {layer.label: f"{first}-{last}.{block[0].name}" for layer in block}
    return names


def _together(kind: str, values: list[float]) -> float:
    if len(values) == 1:
        return values[0]
    return sum(v**2 for v in values) ** 0.5 if kind in TOGETHER else sum(values) / len(values)
