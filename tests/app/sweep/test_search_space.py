"""What a search draws from."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gradvitals.errors import ConfigError


def distributions(*words: str):
    from gradvitals.app.sweep.search_space import space_of

    return space_of(OverridesParser.create().parse_overrides(list(words)))


def test_hydras_words_are_optunas_distributions():
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    space, shared = distributions(
        "act=choice(relu,elu)",
        "model=plain,bn",
        "model.depth=int(interval(2,12))",
        "model.width=range(16,65,16)",
        "optimizer.lr=tag(log,interval(1e-4,0.1))",
        "init.gain=range(0.5,2.0,0.5)",
        "seed=3",
    )
    assert space == {
        "act": CategoricalDistribution(["relu", "elu"]),
        "model": CategoricalDistribution(["plain", "bn"]),
        "model.depth": IntDistribution(2, 12),
        "model.width": IntDistribution(16, 64, step=16),
        "optimizer.lr": FloatDistribution(1e-4, 0.1, log=True),
        "init.gain": FloatDistribution(0.5, 1.5, step=0.5),
    }
    assert shared == ["seed=3"]


def test_a_typed_word_replaces_that_of_the_file():
    space, shared = distributions("act=choice(relu,elu)", "act=tanh")
    assert (space, shared) == ({}, ["act=tanh"])


def test_a_range_that_cannot_be_searched():
    with pytest.raises(ConfigError, match="no range that can be searched"):
        distributions("optimizer.lr=tag(log,interval(0.0,1.0))")
