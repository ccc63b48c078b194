"""The benchmark's own arithmetic: slopes, turns, the page."""

from __future__ import annotations

import sys
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks" / "speed"))

from growth import slope
from own_loop import BLOCK, CONTESTANTS, RUN, Loop, Watched, images, mlp, ratios, train_in_turns, whole
from results_page import sections_of, with_sections
from turns import WARM_UP, Turns

from monitor import cost, recurrent
from monitor import mlp as mlp_of_20


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


def test_a_section_takes_its_place_and_the_others_stay():
    page = (ROOT / "benchmarks/RESULTS.md").read_text()
    known = sections_of(page)
    ended, others = "What was tried", {title: text for title, text in known.items() if title != "Start"}
    titles = [title for title in known if title != ended]
    end = page[page.index(f"## {ended}") :]
    assert with_sections(page, titles, {}, end) == page
    again = sections_of(with_sections(page, titles, {"Start": "0 s"}, end))
    assert again == others | {"Start": "0 s"}


def test_runs_of_ones_own_loop_begin_anew():
    begun, ended = [], []

    def watch(model, optimizer):
        begun.append(model)
        return Watched(lambda step: None, lambda step, loss: None, lambda: ended.append(model))

    x, y = images()
    loop = Loop(lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)), watch, x, y, 4)
    train_in_turns([loop], 2)
    assert len(set(begun)) == 2
    assert begun == ended
    assert len(loop.blocks) == 2 * RUN // BLOCK
    assert len(loop.later_blocks(0)) == 2 * (RUN // BLOCK - 1)
    assert sum(loop.runs(0)) == pytest.approx(sum(s for s, _ in loop.blocks) + sum(s for s, _ in loop.around))
    assert set(ratios(loop, loop, 0)) == {1}
    assert whole(loop, loop, 1) == 1


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if "wandb" not in name])
def test_contestants_train_the_same(name):
    def weights(watch):
        loop = Loop(mlp, watch, *images(), 8)
        loop.turn(12)
        loop.end()
        return [p.tolist() for p in loop.model.parameters()]

    assert weights(CONTESTANTS[name]) == weights(CONTESTANTS["nothing"])


@pytest.mark.filterwarnings("ignore:You defined a `validation_step`", "ignore:The number of training batches")
@pytest.mark.parametrize("network", [mlp_of_20, partial(recurrent, "rnn")], ids=["mlp", "rnn"])
def test_steps_of_the_monitor_take_turns(network):
    """Times are the machine's; that the two states of the monitor exist is not."""
    idle_over_none, measured_over_idle = cost(60, network)
    assert 0.2 < idle_over_none < 5
    assert measured_over_idle > 0.5
