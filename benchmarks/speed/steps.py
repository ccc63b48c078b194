"""Time per training step of the whole app beside a loop written by hand.

The app has all that a default run has: monitor, TensorBoard, progress bar in a terminal, checkpoints. The loop has
the same tensors, network, batch and Adam, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from results_page import goal
from turns import Fastest, HandWritten, Turns, assemble, begin, fit, settings, stand_in_for_fashion

CASES = (  # and the goals of the ratios to the usual and to the fastest loop
    ("3 x 100, BatchNorm, ELU, batch 128", ("experiment=fashion_3x100",), 40, 1.15, 1.12),
    ("`fashion_bn`, batch 32", ("experiment=fashion_bn",), 60, 1.3, None),
    ("digits, the default", (), 100, 1.4, 1.3),
)


def lines() -> Iterator[str]:
    """The table."""
    begin()
    yield f"The first two rows are on {stand_in_for_fashion()}. Blocks of 50 steps take turns; the figures are medians,"
    yield "with quartiles in parentheses. The loop is the one that people write, with torch's default Adam; the fastest"
    yield "is the best that one can write by hand, a flat `nn.Sequential` with fused Adam."
    yield "\n| | app, ms | loop, ms | fastest, ms | app over loop | goal | app over the fastest | goal |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, typed, blocks, most, most_of_fastest in CASES:
        hand, fastest = HandWritten(assemble(settings(*typed))), Fastest(assemble(settings(*typed)))
        turns = Turns(hand.steps, fastest.steps, blocks=blocks)
        fit(settings(*typed), turns)
        times = " | ".join(f"{milliseconds:.2f}" for milliseconds in turns.milliseconds)
        yield f"| {name} | {times} | {_ratio(turns, 1, most)} | {_ratio(turns, 2, most_of_fastest)} |"


def _ratio(turns: Turns, other: int, most: float | None) -> str:
    middle, low, high = turns.ratio(other)
    return f"**{middle:.2f}** ({low:.2f} to {high:.2f}) | {goal(middle, most=most) if most else ''}"
