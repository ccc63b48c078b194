"""The rules on what optimizers hold and change, by hand: what each one finds, and what just is no fault."""

from __future__ import annotations

import math

import pytest

from gradvitals.diagnosis.diagnose import Examination
from gradvitals.diagnosis.history import Observation, Subject
from gradvitals.diagnosis.training_state import TrainingState
from tests.diagnosis.runs import CHANCE, STEPS, numbers, run

FALLING = [CHANCE * 0.9**i for i in range(len(STEPS))]
UNHELD = TrainingState(unheld=("net.1.weight", "net.1.bias"), trained_share=0.25)


def evidence(found):
    return found.findings[0].evidence


# no_update


def test_parameters_without_an_optimizer():
    found = run(numbers(), states=UNHELD)
    assert (found.verdict, found.step) == ("no_update", 50)
    assert "no optimizer holds net.1.weight, net.1.bias" in evidence(found)
    assert "25.0% of the parameters" in evidence(found)
    assert "torch.optim.Adam(self.parameters())" in found.findings[0].advice


def test_a_bias_without_an_optimizer_keeps_no_net_from_learning():
    assert run(numbers(), states=TrainingState(unheld=("net.1.bias",), trained_share=0.9)).verdict != "no_update"


def test_an_optimizer_of_a_copy_is_found_at_the_third_step():
    stray = TrainingState(unheld=("net.1.weight",), foreign=8, trained_share=0.0)
    found = run({}, FALLING, states=stray, steps=(0, 1, 2))
    assert (found.verdict, found.step) == ("no_update", 2)
    assert "8 that are not" in evidence(found)
    assert run({}, states=stray, steps=(0, 1)).verdict != "no_update"


def test_flat_copies_that_a_strategy_trains_are_no_fault_while_it_learns():
    """DeepSpeed's optimizer holds parameters of its own; the module's have no gradient."""
    flat = TrainingState(foreign=1, trained_share=0.0)
    assert run(numbers(), FALLING, states=flat).verdict == "healthy"
    assert run(numbers(), states=flat).verdict == "no_update"


def test_a_rate_of_exactly_zero():
    found = run(numbers(update=0.0), states=TrainingState(rate=0.0))
    assert (found.verdict, found.step) == ("no_update", 50)
    assert found.findings[1:] == ()  # no larger rate helps where nothing arrives
    assert run(numbers(update=1e-7), states=TrainingState(rate=1e-9)).verdict == "stalled"
    begins = [TrainingState(rate=0.0)] * 10 + [TrainingState(rate=1e-3)]
    assert run(numbers(), FALLING, states=begins).verdict == "healthy"


def test_a_layer_that_receives_nothing():
    cut = TrainingState(without_gradient=("net.0", "net.1"))
    found = run(numbers(), states=cut)
    assert found.verdict == "no_update"
    assert "net.0, net.1 ran" in evidence(found)
    assert "detach" in found.findings[0].cause


def test_a_loss_that_depends_on_no_weight():
    found = run(numbers(), states=TrainingState(without_gradient=("net.0", "net.1", "net.2", "net.3")))
    assert "all 4 layers" in evidence(found)


@pytest.mark.parametrize(
    ("seen", "others"),
    [
        (numbers((0.0, 0.0, 0.0, 1.0), std=0.0, mean=0.0), {}),
        (numbers(saturated_fraction=(0.0, 1.0, 0.0, 0.0)), {}),
        (numbers(), {"symmetric": (1,)}),
        (numbers(), {"predicted_decades": -9.0}),
    ],
)
def test_a_zero_gradient_of_dead_saturated_or_identical_units_is_a_symptom(seen, others):
    assert run(seen, states=TrainingState(without_gradient=("net.0",)), **others).verdict != "no_update"


def test_almost_everything_is_frozen():
    frozen = TrainingState(frozen=("net.0", "net.1"), trained_share=0.001)
    found = run(numbers(), states=frozen)
    assert found.verdict == "no_update"
    assert "0.10% of the parameters are trained" in evidence(found)
    assert run(numbers(update=1e-6), states=frozen).verdict == "stalled"  # an adapter whose rate is too small
    assert run(numbers(), states=TrainingState(frozen=("net.0",), trained_share=0.02)).verdict != "no_update"
    without_head = TrainingState(frozen=("net.0", "net.3"), trained_share=0.02)
    assert run(numbers(), states=without_head).verdict == "no_update"


def test_layers_that_are_no_submodules():
    assert "Linear ran" in evidence(run(numbers(), states=TrainingState(unregistered=("Linear",))))


def test_gradients_that_add_up_at_three_steps():
    once, twice = TrainingState(), TrainingState(not_zeroed=True)
    assert run(numbers(), states=[once, twice, twice, once]).verdict != "no_update"
    assert "3 of 14" in evidence(run(numbers(), states=[once, twice, twice, twice, once]))
    assert run(numbers(), [CHANCE, CHANCE, CHANCE, CHANCE, math.inf], states=twice).verdict == "no_update"


@pytest.mark.parametrize(
    "state",
    [
        UNHELD,
        TrainingState(without_gradient=("net.0",)),
        TrainingState(frozen=("net.0", "net.1"), trained_share=0.001),
        TrainingState(unregistered=("Linear",)),
        TrainingState(not_zeroed=True),
        TrainingState(decay=0.1, weight=1.0),
    ],
)
def test_nothing_of_it_is_a_fault_in_a_net_that_learns(state):
    assert run(numbers(), FALLING, states=state).verdict == "healthy"


# replicas


def test_processes_that_differ_at_two_steps():
    same, differs = TrainingState(replicas_differ=0.0), TrainingState(replicas_differ=1e-3)
    found = run(numbers(), FALLING, states=[same, differs, differs], steps=(0, 1, 2))
    assert (found.verdict, found.step) == ("replicas", 2)
    assert "differ by 1.0e-03 of their size since step 1" in evidence(found)
    assert run(numbers(), FALLING, states=[same, differs, same]).verdict == "healthy"
    assert run(numbers(), FALLING, states=TrainingState(replicas_differ=1e-7)).verdict == "healthy"


# rate_decays


def rates(*values: float) -> list[TrainingState]:
    return [TrainingState(rate=value) for value in values]


def test_a_rate_that_falls_at_once_explains_that_nothing_moves():
    found = run(numbers(update=1e-7), states=rates(0.1, 0.08, 0.05, 0.01, 0.0))
    assert found.verdict == "rate_decays"
    assert "from 0.1 to 0 by step 4 of 1000" in evidence(found)
    assert "stalled" in [finding.rule for finding in found.findings]


def test_rates_that_are_no_fault():
    fallen = rates(0.1, 0.08, 0.05, 0.01, 0.0)
    assert run(numbers(), FALLING, states=fallen).verdict == "healthy"
    assert run(numbers(), states=rates(0.0, 1e-6, 1e-4, 1e-2)).verdict != "rate_decays"  # a warm-up
    assert run(numbers(), states=rates(*[0.1] * 12, 0.0, 0.0), planned_steps=280).verdict != "rate_decays"  # at 150
    assert run(numbers(), states=rates(*[0.1] * 13, 0.0)).verdict != "rate_decays"  # the end of a cycle
    assert run(numbers(), states=rates(0.1, 1.1e-4)).verdict != "rate_decays"


# weight_decay


def decayed(*weights: float, decay: float = 0.0, pull: float | None = None) -> list[TrainingState]:
    return [TrainingState(decay=decay, weight=weight, pull=pull) for weight in weights]


def test_a_hundredth_in_each_step():
    found = run(numbers(), states=decayed(8.0, 6.0, 4.0, decay=0.02))
    assert found.verdict == "weight_decay"
    assert (
        evidence(found)
        == "weight decay shrinks the weights by 2.0% in each step; their norm is 50% of that at the start"
    )
    assert run(numbers(), states=decayed(8.0, 9.0, decay=0.02)).verdict != "weight_decay"  # the rate is too large


def test_weights_that_halve_because_of_the_decay():
    """0.995 ** 200 = 0.37."""
    found = run(numbers(), states=decayed(8.0, 3.0, decay=0.005))
    assert found.verdict == "weight_decay"
    assert "to 37% in 200 steps" in evidence(found) or "to 78% in 50 steps" in evidence(found)
    assert run(numbers(), states=decayed(8.0, 3.0, decay=1e-4)).verdict != "weight_decay"
    assert run(numbers(), states=decayed(8.0, 5.0, decay=0.005)).verdict != "weight_decay"


def test_decay_that_outweighs_the_gradient_in_adam():
    assert "3.0 times as large" in evidence(run(numbers(), states=decayed(8.0, 3.0, decay=1e-3, pull=3.0)))
    assert run(numbers(), states=decayed(8.0, 3.0, decay=1e-3, pull=0.5)).verdict != "weight_decay"


def test_a_gradient_that_vanished_before_is_the_cause():
    vanished = numbers((1e-9, 1e-6, 1e-3, 1.0))
    assert run(vanished, states=decayed(8.0, 3.0, decay=0.02)).verdict == "vanishing"
    assert run([numbers(), vanished], states=decayed(8.0, 3.0, decay=0.02)).verdict == "weight_decay"


# checkpoints


def test_the_state_survives_a_checkpoint():
    examined, again = Examination(Subject(chance=CHANCE)), Examination()
    for step in (0, 50, 100):
        examined.take(Observation.of(step, [CHANCE] * 50, numbers(), state=UNHELD))
    again.load_state_dict(examined.state_dict())
    assert again.history.observations == examined.history.observations
    assert again.diagnosis == examined.diagnosis


def test_a_rate_of_zero_of_one_of_two_optimizers():
    """It may wait for its turn in the first half of a training, and not for ever."""
    still = [TrainingState(rate=1e-3, own_rate=1e-3), TrainingState(rate=1e-3, optimizer=1, own_rate=0.0)] * 7
    found = run(numbers(), chance=math.nan, states=still)
    assert found.verdict == "undecided"
    found = run(numbers(), chance=math.nan, states=still, planned_steps=400)
    assert found.verdict == "no_update"
    assert "of optimizer 1 has been exactly 0" in evidence(found)


def test_two_optimizers_of_one_network():
    twice = TrainingState(held_twice=True, unheld=("generator.0.weight",), trained_share=0.5)
    found = run(numbers(), chance=math.nan, states=twice)
    assert (found.verdict, found.step) == ("no_update", 2)
    assert "none holds generator.0.weight" in evidence(found)
    shared = TrainingState(held_twice=True)
    assert run(numbers(), FALLING, states=shared).verdict == "healthy"
