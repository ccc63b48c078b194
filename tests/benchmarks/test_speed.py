"""The benchmark's own arithmetic: slopes, turns."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks" / "speed"))

from growth import slope
from turns import WARM_UP, Turns


def test_slope_is_the_power():
    assert slope([1, 10, 100], [2, 200, 20_000]) == pytest.approx(2)
    assert slope([1, 2, 4], [5, 5, 5]) == pytest.approx(0)


def test_turns_go_round_and_leave_validation_out():
    asked = []
    turns = Turns(lambda number: asked.append(number) or 0.5, block=4, blocks=3)
    trainer = SimpleNamespace(should_stop=False)
    for step in range(4 * (3 + WARM_UP)):
        if step % 6 == 0:  # an epoch ends inside a block
            turns.on_validation_start()
            turns.on_train_epoch_end()
            turns.on_train_epoch_start()
        assert not trainer.should_stop
        turns.on_train_batch_end(trainer)
    assert trainer.should_stop
    assert asked == [4] * (3 + WARM_UP)
    assert turns.milliseconds[1] == pytest.approx(125)  # 0.5 s for 4 steps
    assert 0 < turns.ratio()[0] < 0.1
