"""Output, loss and target that do not fit together.

What is certain is reported as soon as it is seen; what merely hinders a net, only where the net does not learn, or has
had its time and has not learned most.
"""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn, is_over, learned
from gradvitals.diagnosis.rules import SYMPTOMS
from gradvitals.diagnosis.thresholds import Thresholds
from gradvitals.diagnosis.witness import HeadFact

EXPLAINS = (*SYMPTOMS, "poor_init", "target_scale", "slow", "bad_data", "no_update")
# Such a net cannot learn what is asked.
CERTAIN = ("one_unit", "over_batch", "broadcast", "not_log", "not_probabilities")
MOST = 0.7  # share of the loss of a constant output
LEAST = 0.05  # share of the targets at fault
TEXTS = {  # kind -> evidence, advice
    "one_unit": (
        "{activation} over a single unit is the constant 1, and its gradient is exactly 0",
        "Use a sigmoid: F.binary_cross_entropy_with_logits(output, target), without an activation before it.",
    ),
    "over_batch": (
        "{activation} is taken over the batch and not over the classes",
        "Take it over the classes: F.cross_entropy(logits, target), or dim=1.",
    ),
    "activation": (
        "{loss} is called on the output of {activation}",
        "Remove the last activation: {loss} expects values of any size and sign, such as nn.Linear returns.",
    ),
    "out_of_reach": (
        "{share:.0%} of the targets are out of reach of {activation}, the last activation",
        "Remove the last activation, or scale the targets to its range.",
    ),
    "not_probabilities": (
        "{share:.0%} of the targets of {loss} are outside [0, 1]",
        "For several classes use F.cross_entropy with one output per class; for a quantity F.mse_loss.",
    ),
    "broadcast": (
        "{loss} broadcasts output and target of different shapes: each output is compared with each target",
        "Give both one shape: {loss}(output.squeeze(1), target).",
    ),
    "not_exclusive": (
        "{activation} makes outputs that sum to 1, and {share:.0%} of the targets do not",
        "For labels that do not exclude each other use F.binary_cross_entropy_with_logits.",
    ),
    "exclusive": (
        "{loss} treats each class by itself, and each target has exactly one",
        "For classes that exclude each other use F.cross_entropy(logits, target).",
    ),
    "cut_off": (
        "a ReLU has set the output of the right class to 0 in {share:.0%} of the samples, where it has no gradient",
        "Remove the ReLU behind the last layer: {loss} expects values of any size and sign.",
    ),
    "maximized": (
        "backward starts from the negative of what {loss} returns, which is maximized",
        "Remove the minus sign before the loss.",
    ),
    "not_log": (
        "{loss} expects logarithms of probabilities, and those of {share:.0%} of the samples do not sum to 1",
        "Use F.cross_entropy(logits, target), or F.nll_loss(logits.log_softmax(1), target).",
    ),
}


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds a head that cannot learn, or one that may be why the net does not."""
    stuck = does_not_learn(history, limits)
    if stuck and _is_maximized(history):
        return _finding(history, HeadFact("maximized", "the loss function", "", 1.0))
    for fact in sorted(history.subject.head, key=lambda fact: fact.kind not in CERTAIN):
        if fact.share >= LEAST and (fact.kind in CERTAIN or stuck or _hinders(fact, history, limits)):
            return _finding(history, fact)
    return None


def _hinders(fact: HeadFact, history: History, limits: Thresholds) -> bool:
    """Whether a net that learns has had its time, and has not learned most; a class that is cut off learns nothing."""
    if fact.kind == "cut_off":
        return is_over(history)
    had_its_time = history.is_final if fact.kind == "exclusive" else is_over(history)
    return had_its_time and learned(history, limits) < MOST


def _is_maximized(history: History) -> bool:
    looks = history.looks
    return bool(looks) and all(look.loss > 0 and abs(look.whole + look.loss) <= 0.02 * look.loss for look in looks)


def _finding(history: History, fact: HeadFact) -> Finding:
    evidence, advice = (
        text.format(activation=fact.activation.lower(), loss=fact.loss, share=fact.share) for text in TEXTS[fact.kind]
    )
    cause = "output, loss and target do not fit"
    return Finding("head", None, history.latest.step, fact.share, LEAST, evidence, cause, advice)
