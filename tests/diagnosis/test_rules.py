"""Each sickness by hand: what shows it, what just does not, and which of its symptoms stay symptoms."""

from __future__ import annotations

import math

import pytest

from gradvitals.diagnosis.diagnose import Examination, diagnose
from gradvitals.diagnosis.history import History, Observation, Subject
from gradvitals.diagnosis.remedies import FOR, Net, prescribe
from gradvitals.diagnosis.rules import rules
from gradvitals.diagnosis.thresholds import Thresholds
from gradvitals.diagnosis.witness import HeadFact, Witness
from tests.diagnosis.runs import CHANCE, STEPS, numbers, run

FALLING = [CHANCE * 0.9**i for i in range(len(STEPS))]
VANISHED = (1e-9, 1e-6, 1e-3, 1.0)
EXPLODED = (1e6, 1e4, 1e2, 1.0)


OF_THE_CODE = ("head", "replicas", "target_scale")  # no override of ours helps


def symptoms(found):
    return [finding.rule for finding in found.findings[1:]]


# healthy


def test_a_net_that_learns_is_healthy_and_nothing_else_is_said():
    found = run(numbers(), FALLING)
    assert str(found) == "healthy"
    assert (found.severity, found.step, found.findings) == (0.0, None, ())


def test_a_net_that_does_not_learn_by_healthy_gradients_is_not_sick():
    """A linear net on circles, labels drawn by chance: no change of the net's gradients would help."""
    assert run(numbers()).verdict == "undecided"
    found = run(numbers(), steps=(*range(10), 50, 250, 500))
    assert (found.verdict, found.step, found.severity) == ("not_learning", 500, pytest.approx(1.0))
    assert "look at the data" in str(found)


def test_a_loss_that_starts_far_above_chance_is_a_matter_of_scale():
    assert run(numbers(), [3.0 * CHANCE, *FALLING]).verdict == "healthy"


# vanishing


def test_vanishing():
    """1e-9 over 1 in three steps between four layers: 9 decades, a thousandth per layer."""
    found = run(numbers(VANISHED))
    assert (found.verdict, found.step, found.findings[0].layer) == ("vanishing", 50, 0)
    assert found.findings[0].value == pytest.approx(-9)
    assert "0.001 per layer" in found.findings[0].evidence


def test_a_vanishing_profile_that_learns_is_healthy():
    """Adam trains a 15-layer ReLU net under Glorot's initialisation, which loses two decades."""
    assert run(numbers(VANISHED), FALLING).verdict == "healthy"


@pytest.mark.parametrize(("arrives", "verdict"), [(0.0101, "undecided"), (0.0099, "vanishing")])
def test_the_line_is_at_a_hundredth(arrives, verdict):
    assert run(numbers((arrives, 1.0, 1.0, 1.0)), limits=Thresholds(weak_gain=0.0)).verdict == verdict


@pytest.mark.parametrize(("gain", "verdict"), [(0.26, "undecided"), (0.24, "vanishing")])
def test_in_few_layers_the_rate_decides(gain, verdict):
    """Three steps of a quarter leave 1.6 %, more than a hundredth: the slope of a sigmoid shows."""
    assert run(numbers((gain**3, gain**2, gain, 1.0))).verdict == verdict


def test_tiny_updates_and_dead_units_are_symptoms_of_a_gradient_that_vanishes():
    steps = (1e-9, 1e-7, 1e-5, 1e-3)  # of the weights, layer by layer, under SGD
    found = run(numbers(VANISHED, update_ratio=steps, dead_fraction=(0.0, 0.0, 0.6, 0.0)))
    assert found.verdict == "vanishing"
    assert sorted(symptoms(found)) == ["dead_units", "stalled"]
    assert run(numbers(VANISHED, update=1e-7)).verdict == "stalled"  # not even the last layer moves: it is the rate


def test_one_passing_moment_is_no_vanishing():
    seen = [numbers()] * 12 + [numbers(VANISHED), numbers()]
    assert run(seen).verdict == "undecided"


def test_born_dead_by_too_small_weights_is_vanishing_where_theory_says_so():
    silent = numbers((0.0, 0.0, 0.0, 1.0), update=0.0, std=0.0, mean=0.0)
    assert run(silent, predicted_decades=-11.0).verdict == "vanishing"
    assert run(silent, predicted_decades=-0.1).verdict == "dead_units"


# exploding, non-finite, unstable


def test_exploding():
    found = run(numbers(EXPLODED))
    assert (found.verdict, found.findings[0].value) == ("exploding", pytest.approx(6))


def test_an_exploding_profile_that_learns_is_healthy():
    assert run(numbers(EXPLODED), FALLING).verdict == "healthy"


def test_what_exploded_ends_not_finite_and_the_cause_is_named():
    broken = numbers((math.nan,) * 4, std=math.nan)
    found = run([numbers(EXPLODED), broken], [CHANCE, math.nan])
    assert (found.verdict, found.step) == ("exploding", 1)
    assert "non_finite" in symptoms(found)


def test_activations_that_grow_a_thousandfold_explode():
    seen = numbers((math.nan,) * 4, activation_std=(1.0, 1e4, 1e20, math.inf))
    found = run(seen, math.nan, steps=(0,))
    assert (found.verdict, found.findings[0].layer) == ("exploding", 2)


def test_non_finite_names_layer_and_step():
    found = run(
        [numbers(), numbers(), numbers(activation_std=(1.0, math.nan, math.nan, 1.0))], FALLING, steps=(0, 1, 2)
    )
    assert (found.verdict, found.step, found.findings[0].layer) == ("non_finite", 2, 1)
    assert "net.1" in found.findings[0].evidence


def test_one_loss_that_is_not_finite_is_found_between_measured_steps():
    examined = Examination(Subject(chance=CHANCE))
    examined.take(Observation.of(0, [CHANCE], numbers()))
    assert examined.take(Observation.of(50, [1.0, math.inf, 1.0], numbers())).verdict == "non_finite"


def test_steps_that_rewrite_the_weights_are_unstable_whatever_follows():
    seen = [numbers(update=2.0), numbers(VANISHED, update=0.2, saturated_fraction=(1.0,) * 4)]
    found = run(seen, 1.2 * CHANCE)
    assert found.verdict == "unstable"
    assert {"saturated", "vanishing"} >= set(symptoms(found)) >= {"saturated"}


def test_of_two_layers_one_alone_may_be_replaced_at_once():
    """Adam's first step changes 64 weights of a head by 0.01 of 0.07; the recurrent layer keeps what it has."""
    for ratios, verdict in (([0.03, 0.13], "undecided"), ([0.12, 0.13], "unstable"), ([0.03, 5.1], "unstable")):
        assert run(numbers(update_ratio=ratios), CHANCE).verdict == verdict


def test_a_loss_that_has_risen_is_unstable():
    assert run(numbers(), [CHANCE, 1.4 * CHANCE]).verdict == "undecided"
    assert run(numbers(), [CHANCE, 1.6 * CHANCE]).verdict == "unstable"


def test_a_loss_that_fell_and_is_back_is_unstable():
    assert run(numbers(), [CHANCE] * 10 + [0.5 * CHANCE, 0.5 * CHANCE, CHANCE]).verdict == "unstable"


# dead, saturated


def test_half_of_a_layer_at_zero_is_normal_half_of_the_units_dead_is_not():
    assert run(numbers(dead_fraction=(0.0, 0.49, 0.0, 0.0))).verdict == "undecided"
    found = run(numbers(dead_fraction=(0.0, 0.5, 0.0, 0.0)))
    assert (found.verdict, found.findings[0].layer) == ("dead_units", 1)


def test_a_layer_that_returns_nothing_is_told_at_the_second_step():
    silent = numbers((0.0, 0.0, 0.0, 1.0), activation_std=(1.0, 0.0, 0.0, 0.0), activation_mean=(0.5, 0.0, 0.0, 0.0))
    found = run(silent)
    assert (found.verdict, found.step, found.findings[0].layer) == ("dead_units", 1, 1)
    assert found.findings[0].cause == "dead since initialization"


def test_saturated():
    assert run(numbers(saturated_fraction=(0.0, 0.7, 0.0, 0.0))).verdict == "undecided"
    assert run(numbers(saturated_fraction=(0.0, 0.8, 0.0, 0.0))).verdict == "saturated"


# steps too small


def test_weights_that_stand_still():
    assert run(numbers(update=1.1e-4)).verdict == "undecided"
    found = run(numbers(update=9e-5))
    assert (found.verdict, found.findings[0].cause) == ("stalled", "learning rate too small")


def test_a_net_that_crawls_is_stalled_though_its_loss_falls():
    falling = [CHANCE * (1 - 0.02 * i) for i in range(len(STEPS))]
    assert run(numbers(update=5e-5), falling).verdict == "stalled"
    assert run(numbers(update=5e-4), falling).verdict == "healthy"


def test_half_of_the_training_is_too_long_for_less_than_the_usual_step():
    late = (*range(10), 50, 250, 500)
    assert run(numbers(update=9e-4)).verdict == "undecided"
    found = run(numbers(update=9e-4), steps=late)
    assert (found.verdict, found.step, found.findings[0].threshold) == ("stalled", 500, 1e-3)
    assert run(numbers(update=1.1e-3), steps=late).verdict == "not_learning"


def test_hard_clipping_is_the_cause_where_weights_stand_still():
    assert run(numbers(update=1e-6), clip=1e-3).verdict == "overclipped"
    assert run(numbers(update=1e-6), clip=0.5).verdict == "stalled"


def test_hard_clipping_is_harmless_where_weights_move():
    assert run(numbers(update=1e-3), FALLING, clip=1e-3).verdict == "healthy"


# weights and data


def test_symmetric_weights_that_stay_so():
    found = run(numbers(VANISHED), symmetric=(0, 1))
    assert (found.verdict, found.step, found.findings[0].layer) == ("poor_init", 2, 0)


def test_labels_of_one_class_are_a_fault_where_the_loss_goes_to_nothing():
    """Rare events have such labels, too, for some hundred samples: the loss decides, and that it takes classes."""
    faults, gone = ["all of the first 600 labels are 0"], [CHANCE] * 10 + [0.01 * CHANCE] * 3
    assert run(numbers(), gone, faults=faults, are_classes=True).verdict == "bad_data"
    assert run(numbers(), gone, faults=faults).verdict == "healthy"
    assert run(numbers(), FALLING, faults=faults, are_classes=True).verdict == "undecided"  # there was nothing to learn
    rare = Examination(Subject(faults=faults, are_classes=True, planned_steps=400))
    for step, loss in zip(STEPS, gone, strict=False):
        rare.take(Observation.of(step, [loss] * 10, numbers(), witness=look(0.5, 4.0)))
    assert rare.diagnosis.verdict == "healthy"  # labels of another class were seen


def test_inputs_that_are_not_finite_are_the_cause_of_a_loss_that_is_not():
    broken = numbers((math.nan,) * 4, std=math.nan)
    assert run([numbers(), broken], [CHANCE, math.nan], is_finite=False).verdict == "bad_data"
    assert run(numbers(), FALLING, is_finite=False).verdict == "healthy"  # the net masks them


def test_inputs_that_are_not_scaled_count_where_the_net_does_not_learn():
    assert run(numbers(), features=255.0).verdict == "bad_data"
    assert run(numbers(), FALLING, features=255.0).verdict == "healthy"
    assert run(numbers(), features=5.0).verdict == "undecided"


# the verdict as it stands


def test_a_verdict_stands_until_the_net_has_caught_up():
    """Held up for a third of the training, then falling: sick, until a third of the loss is gone."""
    steps = (*range(10), *range(50, 1000, 50))
    held = [CHANCE] * 20
    barely = run([numbers(VANISHED)] * 20 + [numbers()], [*held, 0.75 * CHANCE], steps=steps)
    assert (barely.verdict, barely.step) == ("vanishing", 50)
    assert run([numbers(VANISHED)] * 20 + [numbers()], [*held, 0.5 * CHANCE], steps=steps).verdict == "healthy"


def test_a_verdict_that_was_true_for_a_moment_is_taken_back():
    seen = [numbers(VANISHED)] * 11 + [numbers()]
    assert run(seen, [CHANCE] * 11 + [0.8 * CHANCE]).verdict == "healthy"


def test_severity_is_what_is_left_to_learn():
    found = run(numbers(update=5e-5), 0.8 * CHANCE)
    assert found.severity == pytest.approx(0.8)
    assert run(numbers(), math.nan).severity == 1.0


def test_several_optimizers_are_not_judged_by_losses_that_do_not_fall():
    assert run(numbers(VANISHED), chance=math.nan).verdict == "undecided"


def test_the_verdict_survives_a_checkpoint():
    examined, again = Examination(Subject(chance=CHANCE)), Examination()
    for step in (0, 50, 100):
        examined.take(Observation.of(step, [CHANCE] * 50, numbers(VANISHED)))
    again.load_state_dict(examined.state_dict())
    assert again.diagnosis == examined.diagnosis
    assert diagnose(again.history) == diagnose(examined.history)


def test_a_history_stays_bounded():
    examined = Examination(Subject(chance=CHANCE))
    for step in range(1000):
        examined.take(Observation.of(step, [CHANCE], numbers()))
    assert len(examined.history.observations) <= 256
    assert examined.history.observations[0].step == 0


# the folder of rules


def test_no_two_rules_explain_each_other():
    explains = {rule.name: rule.explains for rule in rules()}
    pairs = [(a, b) for a in explains for b in explains[a] if a in explains.get(b, ())]
    assert pairs == [
        ("exploding", "unstable"),
        ("unstable", "exploding"),
    ]  # one asks for a sick start, one for a healthy


def test_every_rule_has_remedies_and_explains_rules():
    names = {rule.name for rule in rules()}
    assert names == set(FOR)
    assert all(set(rule.explains) < names for rule in rules())


SICK = {"no_update": Net(lr=0.0), "weight_decay": Net(decay=1.0), "rate_decays": Net(scheduler="cosine")}


def test_what_a_healthy_setting_is_not_asked_to_change():
    assert not any(prescribe(verdict, Net()) for verdict in SICK)


def test_every_remedy_changes_something():
    for verdict in FOR:
        sick = SICK.get(verdict, Net())
        overrides = [remedy.overrides for remedy in prescribe(verdict, sick)]
        assert bool(overrides) == (verdict not in OF_THE_CODE)
        assert ("init=auto",) not in overrides
        assert ("clip=none",) not in overrides


def test_thresholds_by_name():
    assert run(numbers((0.001, 1.0, 1.0, 1.0))).verdict == "vanishing"
    with pytest.raises(ValueError, match=r"expected one of decades, .*; got 'decade'"):
        Thresholds.of({"decade": 3})
    with pytest.raises(ValueError, match=r"monitor.thresholds.decades: expected a number; got 'many'"):
        Thresholds.of({"decades": "many"})  # type: ignore[dict-item]


def test_an_empty_history_is_undecided():
    assert str(diagnose(History())) == "undecided: no step was measured"


# the witness of the loss that is called


def look(learned: float, deviations: float) -> Witness:
    """A look at a loss of which a constant output costs 2."""
    return Witness(2 - 2 * learned, 2.0, 0.1 * deviations, 0.1, 2.0)


def looked(learned, deviations, steps=(*range(10), 50, 100, 150, 200, 250, 300), loss=None):
    examined = Examination(Subject(chance=2.0, planned_steps=400))
    for step in steps:
        value = 2 - 2 * learned if loss is None else loss
        witness = look(learned, deviations)
        examined.take(Observation.of(step, [value] * (50 if step >= 50 else 1), numbers(update=1e-3), witness=witness))
    return examined.diagnosis


def test_a_floor_near_the_constant_is_learning_where_outputs_depend_on_the_input():
    """Click rates: the best loss is 5 % below the base rate's. Four deviations in each of six looks are certain."""
    assert looked(0.05, 4.0).verdict == "healthy"
    found = looked(0.05, 0.3)
    assert (found.verdict, found.step) == ("not_learning", 200)
    assert "no higher with outputs exchanged" in found.reason


def test_small_steps_are_no_fault_of_a_net_that_certainly_learns():
    seen = numbers(update=5e-4)
    for deviations, verdict in ((4.0, "healthy"), (0.0, "stalled")):
        examined = Examination(Subject(chance=2.0, planned_steps=400))
        for step in (0, 50, 100, 200, 300):
            examined.take(Observation.of(step, [1.9] * 50, seen, witness=look(0.05, deviations)))
        assert examined.diagnosis.verdict == verdict


def test_a_loss_below_zero_that_rises_is_unstable_and_one_that_falls_is_healthy():
    falls = [-1.0 - 0.2 * i for i in range(len(STEPS))]
    assert run(numbers(), falls, chance=None).verdict == "healthy"
    assert run(numbers(), [-1.0] * 12 + [3.0], chance=None).verdict == "unstable"


def test_a_loss_of_which_nothing_is_known_is_undecided_where_it_stays():
    found = run(numbers(), -0.01, chance=None)
    assert (found.verdict, found.severity) == ("undecided", None)
    assert "no loss function of torch is called" in found.reason


def test_what_cannot_learn_is_said_at_once_and_what_may_only_where_it_does_not():
    certain, possible = (
        HeadFact("one_unit", "mse_loss", "Softmax", 1.0),
        HeadFact("activation", "cross_entropy", "Softmax", 1.0),
    )
    found = run(numbers(), FALLING, head=[certain])
    assert (found.verdict, found.step) == ("head", 0)
    assert "binary_cross_entropy_with_logits" in found.findings[0].advice
    assert run(numbers(), FALLING, head=[possible]).verdict == "healthy"
    assert run(numbers(VANISHED), head=[possible]).verdict == "head"


def test_what_hinders_a_net_is_said_where_it_has_had_its_time_and_has_not_learned_most():
    half, most = [CHANCE] * 10 + [0.5 * CHANCE], [CHANCE] * 10 + [0.2 * CHANCE]
    range_of_sigmoid, relu = (
        HeadFact("out_of_reach", "mse_loss", "Sigmoid", 0.5),
        HeadFact("cut_off", "nll_loss", "Relu", 0.2),
    )
    assert run(numbers(), half, head=[range_of_sigmoid], planned_steps=400).verdict == "head"
    assert run(numbers(), half, head=[range_of_sigmoid], planned_steps=1000).verdict == "healthy"  # it has time
    assert run(numbers(), most, head=[range_of_sigmoid], planned_steps=400).verdict == "healthy"
    found = run(numbers(), most, head=[relu], planned_steps=400)
    assert found.verdict == "head"
    assert "in 20% of the samples" in found.findings[0].evidence


def test_large_targets_count_where_the_net_does_not_learn():
    assert run(numbers(), targets=1e4).verdict == "target_scale"
    assert run(numbers(), FALLING, targets=1e4).verdict == "healthy"


def test_slow_is_a_steady_fall_that_will_not_suffice_and_never_a_plateau():
    steps = (*range(10), *range(50, 650, 50))
    steady = [2.0] * 10 + [2.0 - 0.02 * i for i in range(12)]
    level = [2.0] * 10 + [1.8] * 12
    found = run(numbers(update=2e-4), steady, steps=steps, chance=2.0)
    assert found.verdict == "slow"
    assert "5-fold" in found.findings[0].advice
    assert run(numbers(update=2e-4), level, steps=steps, chance=2.0).verdict != "slow"


def test_steps_of_several_times_the_weights_count_wherever_nothing_shows_that_the_net_learns():
    """Adam at 3: what was initialized is gone, and the loss that falls afterwards falls from where it was thrown."""
    steps = [numbers(update=19.0), numbers(update=1e-4)]
    thrown = [600.0] * 10 + [50.0, 20.0, 10.0, 9.0]
    found = run(steps, thrown, chance=None)
    assert (found.verdict, found.step) == ("unstable", 50)
    assert run([numbers(update=4.0), numbers(update=1e-4)], thrown, chance=None).verdict == "healthy"
    for deviations, verdict in ((0.0, "unstable"), (4.0, "healthy")):
        examined = Examination(Subject(chance=2.0, planned_steps=400))
        for step, seen in ((0, steps[0]), (50, steps[1]), (100, steps[1]), (200, steps[1]), (300, steps[1])):
            examined.take(Observation.of(step, [1.0] * 50, seen, witness=look(0.5, deviations)))
        assert examined.diagnosis.verdict == verdict


def test_a_loss_below_the_constant_is_not_learning_where_outputs_do_not_depend_on_the_input():
    assert looked(0.4, 6.0).verdict == "healthy"
    assert looked(0.4, 0.3).verdict == "not_learning"


def test_a_loss_whose_negative_is_minimized():
    examined = Examination(Subject(chance=2.0, planned_steps=400))
    for step in (0, 50, 100, 200):
        rising = Witness(3.0 + step, 2.0, 0.0, 0.1, 2.0, whole=-3.0 - step)
        examined.take(Observation.of(step, [-3.0 - step] * 50, numbers(), witness=rising))
    assert examined.diagnosis.verdict != "head"  # what is minimized falls below any constant
    examined = Examination(Subject(planned_steps=400))
    for step in (0, 50, 100, 200):
        rising = Witness(3.0 + step, 2.0, 0.0, 0.1, 2.0, whole=-3.0 - step)
        examined.take(Observation.of(step, [-3.0 - step] * 50, numbers(), witness=rising))
    assert examined.diagnosis.verdict == "head"
    assert "minus sign" in examined.diagnosis.findings[0].advice


def test_inputs_that_are_all_alike_count_where_the_net_does_not_learn():
    found = run(numbers(dead_fraction=(0.0, 0.9, 0.0, 0.0)), inputs_vary=False)
    assert (found.verdict, found.step, symptoms(found)) == ("bad_data", 50, ["dead_units"])
    assert run(numbers(), FALLING, inputs_vary=False).verdict == "healthy"


def test_what_dies_or_vanishes_while_nothing_is_learned_is_a_symptom():
    """Of labels that cannot be learned: the gradient was healthy at the start, and half of the units died since."""
    steps = (*range(10), 50, 100, 250, 500)
    since = [numbers(dead_fraction=(0.0, 0.1, 0.0, 0.0))] * 10 + [numbers(VANISHED, dead_fraction=(0.0, 0.6, 0.0, 0.0))]
    assert run(since, steps=steps).verdict == "not_learning"
    nearly_all = [*since[:10], numbers(dead_fraction=(0.0, 0.96, 0.0, 0.0))]
    assert run(nearly_all, steps=steps).verdict == "dead_units"


def test_every_cause_is_advised_in_words_for_any_project():
    cases = {
        "vanishing": run(numbers(VANISHED)),
        "exploding": run(numbers(EXPLODED)),
        "dead_units": run(numbers(dead_fraction=(0.0, 0.96, 0.0, 0.0))),
        "saturated": run(numbers(saturated_fraction=(0.9,) * 4)),
        "stalled": run(numbers(update=1e-6)),
        "unstable": run(numbers(update=2.0)),
        "overclipped": run(numbers(update=2e-5), clip=1e-3),
        "poor_init": run(numbers(), symmetric=[1]),
        "non_finite": run([numbers(), numbers(std=math.nan)]),
    }
    for rule, found in cases.items():
        assert found.verdict == rule
        advice = found.findings[0].advice
        assert advice.endswith(".")
        assert "=" not in advice.partition("(")[0]  # no override of ours


def test_what_falls_clearly_is_slow_at_larger_steps_than_what_falls_within_the_scatter():
    """A fall of 0.02 in each fifty steps, once beside a scatter of nearly nothing, once of 0.05."""
    steps = (*range(10), *range(50, 650, 50))
    for scatter, verdict in ((0.001, "slow"), (0.05, "healthy")):
        examined = Examination(Subject(chance=2.0, planned_steps=650))
        for i, step in enumerate(steps):
            loss = 2.0 - 0.02 * max(i - 9, 0)
            losses = [loss + scatter * (-1) ** k for k in range(50 if step >= 50 else 1)]
            examined.take(Observation.of(step, losses, numbers(update=5e-3)))
        assert examined.diagnosis.verdict == verdict


def test_first_steps_that_leave_a_net_with_little_are_unstable():
    steps, losses = (*range(10), 50, 100, 150, 200, 250), [2.0] * 10 + [1.74] * 5  # 13 % below the constant
    for update, verdict in ((0.3, "unstable"), (0.15, "healthy")):
        seen = [numbers(update=update)] * 10 + [numbers(update=2e-3)]
        assert run(seen, losses, steps=steps, chance=2.0).verdict == verdict


def test_a_history_finds_anew_what_another_observation_changes():
    """Losses of 4 and 2: the mean of both is 3; then the one before counts no longer."""
    history = History(observations=[Observation(0, 1, loss=4.0), Observation(1, 1, loss=2.0)])
    assert (history.recent_loss(2), history.recent_loss(1)) == (3.0, 2.0)
    history.observations.append(Observation(2, 2, loss=1.0))
    assert (history.recent_loss(2), history.recent_loss(1)) == (1.0, 1.0)
    history.observations[-1] = Observation(2, 2, loss=0.5)
    assert history.recent_loss(2) == 0.5
