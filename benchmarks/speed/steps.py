"""Time per training step of the whole app beside a loop written by hand.

The app has all that a default run has: monitor, TensorBoard, progress bar in a terminal, checkpoints. The loop has
the same tensors, network, batch and Adam, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from results_page import goal
from turns import HandWritten, Turns, assemble, begin, fit, settings, stand_in_for_fashion

CASES = (
    ("3 x 100, BatchNorm, ELU, batch 128", ("experiment=fashion_3x100",), 40, 1.15),
    ("`fashion_bn`, batch 32", ("experiment=fashion_bn",), 60, 1.3),
    ("digits, the default", (), 100, 1.4),
)


def lines() -> Iterator[str]:
    """The table."""
    begin()
    yield f"The first two rows are on {stand_in_for_fashion()}. Blocks of 50 steps take turns; the figures are medians,"
    yield "with quartiles in parentheses."
    yield "\n| | app, ms | loop, ms | fused loop, ms | app over loop | goal | over the fused loop |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, typed, blocks, most in CASES:
        hand, fused = (HandWritten(assemble(settings(*typed)), fused) for fused in (False, True))
        turns = Turns(hand.steps, fused.steps, blocks=blocks)
        fit(settings(*typed), turns)
        app, loop, fast = turns.milliseconds
        middle, low, high = turns.ratio()
        to_fused = turns.ratio(2)[0]
        ratio = f"**{middle:.2f}** ({low:.2f} to {high:.2f})"
        yield f"| {name} | {app:.2f} | {loop:.2f} | {fast:.2f} | {ratio} | {goal(middle, most=most)} | {to_fused:.2f} |"
