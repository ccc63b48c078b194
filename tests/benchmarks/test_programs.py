"""The benchmark's own arithmetic: scores, which programs count, alarms; and one program is trained."""

from __future__ import annotations

import doctest
import sys

import pytest
import torch

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks" / "programs"))

import plan
import program_tables
from real import CASES, CONTROLS
from silent import KINDS


@pytest.mark.parametrize("module", [plan, program_tables])
def test_examples_in_docstrings(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted
    assert not outcome.failed


def test_there_are_enough_programs():
    assert len(CASES) >= 22
    assert len(CASES) + len(CONTROLS) >= 25
    assert len(KINDS) >= 16


def test_scores_are_0_for_the_best_constant_and_1_for_the_truth():
    y = torch.tensor([0.0, 0, 0, 1])
    assert plan.binary()(torch.zeros(4, 1), y) == 0
    assert plan.binary()(y[:, None], y) == 1
    assert plan.explained(torch.full((4, 1), 0.25), y) == 0
    assert plan.explained(y[:, None] * 1e6, y * 1e6) == 1
    assert plan.explained(torch.full((4, 1), torch.nan), y) == -1


def test_one_seed_that_escapes_does_not_count_against_a_program():
    good = [{"score": s} for s in (0.8, 0.9, 0.9)]
    assert program_tables.is_worse([{"score": s} for s in (0.1, 0.2, 0.85)], good)
    assert not program_tables.is_worse([{"score": s} for s in (0.1, 0.95, 0.95)], good)


def test_noise_may_be_called_not_learning_and_nothing_else():
    not_learning, cause = {"verdict": "not_learning"}, {"verdict": "vanishing"}
    assert program_tables.is_alarm(not_learning)
    assert not program_tables.is_alarm(not_learning, noise=True)
    assert program_tables.is_alarm(cause, noise=True)
    assert not program_tables.is_alarm({"verdict": "undecided"})


def test_the_same_seed_trains_the_same_net():
    first, second = (plan.train(KINDS["copied"].faulty, 0) for _ in range(2))
    assert first["score"] == second["score"]
    assert first["steps"] == 540
    assert abs(first["score"]) < program_tables.GUESSES
