"""The benchmark's own arithmetic: rates, labels, draws."""

from __future__ import annotations

import sys

import pytest

from tests.conftest import ROOT, composed

sys.path.insert(0, str(ROOT / "benchmarks" / "zoo"))

from draw import BY_SAMPLE, draw, remedied
from published import ZOO, outcome, overrides
from rates import bounds


def test_bounds():
    """Wilson's interval of 8 of 10, z = 1.96: (.8 + .192 +- 1.96 (.016 + .0096)^.5) / 1.384."""
    assert bounds(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert bounds(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("number", range(20))
def test_draws_compose(number):
    config = composed(*draw(number))
    assert 1 <= config["model"]["depth"] <= 32
    assert 4 <= config["model"]["width"] <= 128
    composed(*remedied(draw(number), ["act=elu", "init=auto", "model=bn", "optimizer=adam", "clip=none"]))


def test_layernorm_is_not_drawn_for_points_in_the_plane():
    drawn = [draw(number) for number in range(300)]
    assert {words[0] for words in drawn if words[2].partition("=")[2] in BY_SAMPLE} == {"data=digits"}


def test_the_published_networks_compose():
    for net in ZOO["networks"]:
        config = composed(*overrides(net, 1))
        assert config["model"]["depth"] == net["hidden_layers"]


def test_a_control_that_fails_is_not_counted():
    assert outcome(0.5, 0.85, control=True) == "not counted"
