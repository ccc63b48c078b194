"""Verdicts on real trainings: pairs that differ in one thing, and nets with zeros or tiny numbers that are healthy."""

from __future__ import annotations

import json

import pytest

BARE = ("callbacks=none", "logger=none", "trainer.num_sanity_val_steps=0", "trainer.max_epochs=3")


@pytest.fixture
def verdict(train_here):
    """The vitals.json of ``python src/train.py WORDS`` on the digits, three epochs of 40 steps."""

    def train(words: str) -> dict:
        run_dir = train_here(*BARE, *words.split())
        return json.loads((run_dir / "vitals.json").read_text())

    return train


def test_adam_trains_what_vanishes_and_sgd_does_not(verdict):
    """Fifteen ReLU layers under Glorot lose two decades of dL/dh with either; what the optimizer moves decides."""
    net = "model.depth=15 init=glorot_uniform optimizer="
    adam, sgd = verdict(net + "adam"), verdict(net + "sgd")
    assert adam["gain_per_layer"] == sgd["gain_per_layer"] == pytest.approx(0.73, abs=0.03)
    assert (adam["verdict"], adam["severity"], adam["findings"], adam["remedies"]) == ("healthy", 0, [], [])
    assert (sgd["verdict"], sgd["step"]) == ("vanishing", 50)
    assert sgd["findings"][0]["layer"] == "net.layers.0.linear"
    assert sgd["remedies"][0]["overrides"] == ["init=auto"]


def test_hard_clipping_is_harmless_under_adam_and_deadly_under_sgd(verdict):
    net = "clip=norm clip.val=0.001 optimizer="
    assert verdict(net + "adam")["verdict"] == "healthy"
    found = verdict(net + "sgd")
    assert found["verdict"] == "overclipped"
    assert found["remedies"][0]["overrides"] == ["clip=none"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("model=bn model.bias=true", "a bias in front of BatchNorm has no gradient"),
        ("model=rezero model.depth=12", "ReZero's branches have no gradient at the start"),
        ("model=residual model.depth=10", "the gradient grows with each block, and the net learns"),
        ("model=bn model.depth=20", "BatchNorm makes the gradient grow by a fifth per layer"),
        ("act=relu model.width=32", "half of a ReLU layer is zero"),
        ("act=tanh init=he_normal", "a pairing that is frowned at and learns"),
        ("act=gelu init=lecun_normal model.depth=6", "dL/dW is flat while dL/dh shrinks"),
        ("init.output=uniform", "a head drawn smaller than the rest"),
        ("data.scaling=raw", "pixels from 0 to 16 are learnt all the same"),
    ],
)
def test_never_an_alarm(verdict, words, why):
    assert verdict(words)["verdict"] == "healthy", why


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("act=sigmoid model.depth=40 model.width=64 init=default", "vanishing"),  # float32 norms underflow: not dead
        ("init=uniform init.low=0.01 init.high=0.01", "poor_init"),
        ("init=uniform init.low=0 init.high=0", "poor_init"),
        ("optimizer=sgd optimizer.lr=1e-6", "stalled"),
        ("optimizer.lr=3", "unstable"),
        ("model.depth=20 init.gain=3", "exploding"),
        ("act=exponential model.depth=12 init=he_normal", "exploding"),
        ("act=sigmoid model.depth=2 init.gain=30 optimizer=sgd", "saturated"),
        ("model.depth=20 model.width=3 init=he_uniform", "dead_units"),
    ],
)
def test_sick(verdict, words, expected):
    found = verdict(words)
    assert found["verdict"] == expected, found["findings"]
    assert 0.5 < found["severity"] <= 1
    assert found["remedies"]
