"""Weights that no step changes: no optimizer holds them, no gradient reaches them, or the learning rate is 0.

An exact zero is told from a small number. Layers are judged by all their parameters and since the start: a gate at
zero (ReZero, LoRA, a zero head) stops the gradient of the layers behind it in the first step only. Frozen parts, target
networks and buffers are normal in a net that learns, so most of this is reported only if the net does not learn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History, Observation
from gradvitals.diagnosis.learning import does_not_learn, is_over, patience
from gradvitals.diagnosis.rules import SYMPTOMS
from gradvitals.diagnosis.rules.stalled import usual_update
from gradvitals.diagnosis.thresholds import Thresholds
from gradvitals.diagnosis.training_state import TrainingState

EXPLAINS = SYMPTOMS
STEPS = 3  # measured steps at which it must be so
FEW, FEW_WITHOUT_HEAD = 0.01, 0.1  # share of the parameters that is too small to learn with

Known = Sequence[tuple[Observation, TrainingState]]


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds weights that are not changed: at once if that is all of them, else in a net that does not learn."""
    known = history.with_state
    if len(known) < STEPS:
        return None
    if found := _nothing_is_trained(history, limits, known):
        return found
    if not (does_not_learn(history, limits) or history.latest.worst == math.inf):
        return None
    for look in (_unheld, _unregistered, _accumulated, _without_gradient, _frozen):
        if found := look(history, limits, known):
            return found
    return None


def _nothing_is_trained(history: History, limits: Thresholds, known: Known) -> Finding | None:
    latest, state = known[-1]
    is_stray = all(s.trained_share == 0 and (s.unheld or s.foreign) for _, s in known)
    if is_stray and (all(s.unheld for _, s in known) or does_not_learn(history, limits)):
        others = f", but {state.foreign} that are not" if state.foreign else ""
        evidence = f"the optimizer holds none of the module's parameters{others}"
        advice = "Give the optimizer the parameters of the module that runs: torch.optim.Adam(self.parameters())"
        return _finding(latest, 0.0, evidence, "an optimizer of other parameters, such as those of a copy", advice)
    if stray := _held_twice(known):
        return stray
    if (of := _rate_of_zero(history, limits, known)) is not None:
        evidence = f"the learning rate{of} has been exactly 0 at all measured steps"
        advice = (
            "Let the schedule rise above 0: LambdaLR(optimizer, lambda step: min((step + 1) / warmup, 1.0)), "
            'called in each step by {"scheduler": scheduler, "interval": "step"}'
        )
        return _finding(latest, 0.0, evidence, "a learning rate of 0, or a warm-up that never begins", advice)
    return None


def _held_twice(known: Known) -> Finding | None:
    latest, state = known[-1]
    if not all(s.held_twice and s.unheld for _, s in known):
        return None
    evidence = (
        f"two optimizers hold the same parameters, and none holds {_listed(state.unheld)}, which receive gradients"
    )
    advice = "Give each optimizer the parameters of its own network"
    return _finding(latest, state.trained_share, evidence, "an optimizer of another network's parameters", advice)


def _rate_of_zero(history: History, limits: Thresholds, known: Known) -> str | None:
    """Which rate was 0 at each measured step: all of them, or one of several optimizers for half of the training."""
    if all(s.rate == 0 for _, s in known):
        return "" if history.latest.step >= patience(history, limits) else None
    if not is_over(history):
        return None
    rates: dict[int, list[float | None]] = {}
    for _, state in known:
        rates.setdefault(state.optimizer, []).append(state.own_rate)
    zero = [n for n, of_one in rates.items() if len(of_one) >= STEPS and all(rate == 0 for rate in of_one)]
    return f" of optimizer {zero[0]}" if zero else None


def _unheld(history: History, limits: Thresholds, known: Known) -> Finding | None:
    """Judges by weights: a bias or a scale that was left out does not keep a net from learning."""
    latest, state = known[-1]
    if not all(any("weight" in name for name in s.unheld) for _, s in known):
        return None
    share = f"it changes {state.trained_share:.1%} of the parameters"
    evidence = f"no optimizer holds {_listed(state.unheld)}, which receive gradients; {share}"
    advice = "Give the optimizer all parameters: torch.optim.Adam(self.parameters())"
    return _finding(latest, state.trained_share, evidence, "parameters without an optimizer", advice)


def _unregistered(history: History, limits: Thresholds, known: Known) -> Finding | None:
    latest, state = known[-1]
    if not state.unregistered:
        return None
    evidence = f"{_listed(state.unregistered)} ran in the forward pass, but belong to no submodule and to no optimizer"
    advice = (
        "Assign layers to attributes in __init__, lists of them as nn.ModuleList(layers) or nn.ModuleDict(layers), "
        "and create none in forward"
    )
    count = float(len(state.unregistered))
    return _finding(latest, count, evidence, "layers in a plain list, or created anew in forward", advice)


def _accumulated(history: History, limits: Thresholds, known: Known) -> Finding | None:
    latest, _ = known[-1]
    count = sum(state.not_zeroed for _, state in known)
    if count < STEPS:
        return None
    evidence = f"the gradients of the step before were still there at {count} of {len(known)} measured steps"
    advice = "Call optimizer.zero_grad() before each backward pass"
    return _finding(latest, float(count), evidence, "gradients are not set to zero and add up", advice)


def _without_gradient(history: History, limits: Thresholds, known: Known) -> Finding | None:
    latest, state = known[-1]
    if not state.without_gradient or _is_explained(history, limits, latest):
        return None
    layers, total = state.without_gradient, len(history.subject.layers)
    if total and len(layers) >= total:
        evidence = f"all {total} layers have received a gradient of exactly 0 since the start"
        cause = "the loss does not depend on the weights"
    else:
        evidence = f"{_listed(layers)} ran, but have received no gradient, or one of exactly 0, since the start"
        cause = "the gradient is cut on its way, as by detach, no_grad, argmax or .item()"
    advice = (
        "Look for detach(), .data, torch.no_grad(), argmax, rounding or NumPy between these layers and the loss; "
        "set requires_grad_(False) where a layer shall be frozen"
    )
    return _finding(latest, float(len(layers)), evidence, cause, advice)


def _is_explained(history: History, limits: Thresholds, latest: Observation) -> bool:
    """Returns whether other rules know why the gradient is zero: silent, saturated or identical units."""
    predicted, saturated = history.subject.predicted_decades, latest.saturated
    return (
        latest.silent is not None
        or latest.broken is not None
        or latest.gradients.label == "non_finite"
        or (saturated is not None and saturated[1] >= limits.saturated)
        or bool(history.first.symmetric and latest.symmetric)
        or (predicted is not None and predicted <= -limits.decades)
    )


def _frozen(history: History, limits: Thresholds, known: Known) -> Finding | None:
    """Judges by the share that is left; where its steps are too small, the learning rate is the cause."""
    latest, state = known[-1]
    update = usual_update(history)
    without_head = list(history.subject.layers[-1:]) == list(state.frozen[-1:])
    few = FEW_WITHOUT_HEAD if without_head else FEW
    if not state.frozen or state.trained_share >= few or (update is not None and update < limits.small_update):
        return None
    evidence = f"{_listed(state.frozen)} are frozen, and {state.trained_share:.2%} of the parameters are trained"
    advice = "Set requires_grad_(True) for the layers that shall learn, before the optimizer is built"
    return _finding(latest, state.trained_share, evidence, "almost all parameters are frozen", advice)


def _listed(names: Sequence[str]) -> str:
    """Returns the first names, and how many more there are.

    Example:
        >>> _listed(["a", "b"]), _listed(["a", "b", "c", "d"])
        ('a, b', 'a, b, c and 1 more')
    """
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _finding(observation: Observation, value: float, evidence: str, cause: str, advice: str) -> Finding:
    return Finding("no_update", None, observation.step, value, 0.0, evidence, cause, advice)
