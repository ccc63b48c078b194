"""Inputs or labels from which no network can learn, or for which it is not initialized.

A statement about data needs the loss beside it. Numbers that are not finite count where the loss is not finite either;
labels of one class where the loss has gone to nearly nothing; inputs that are not scaled where the net does not learn,
because some nets do (LeCun et al., 1998, Efficient BackProp, section 4.3).
"""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn, patience
from gradvitals.diagnosis.rules import SYMPTOMS
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = (*SYMPTOMS, "poor_init", "target_scale", "slow")
NEARLY_NOTHING = 0.05  # share of the first loss


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds a fault of the data, or an input feature far from unit scale in a net that does not learn."""
    step, subject = history.latest.step, history.subject
    broken = history.latest.worst == math.inf or history.latest.broken is not None
    if broken and not subject.is_finite:
        advice = "Remove or impute such samples: torch.nan_to_num(x), or a mask."
        evidence = "inputs that are not finite numbers, and a loss that is not finite"
        return Finding("bad_data", None, step, 1.0, 0.0, evidence, "the data itself", advice)
    if subject.faults and subject.are_classes and _is_trivial(history, limits):
        advice = "Check how the labels are read, and shuffle the data: DataLoader(..., shuffle=True)."
        evidence = "; ".join([*subject.faults, "and the loss has gone to nearly nothing"])
        return Finding("bad_data", None, step, 1.0, 0.0, evidence, "the data itself", advice)
    if not subject.inputs_vary and does_not_learn(history, limits):
        advice = (
            "Look at a batch of the loader, x.std(0): a reader, a transform or a scaling makes all samples the same."
        )
        evidence = "all samples of a batch have the same inputs"
        return Finding("bad_data", None, step, 1.0, 0.0, evidence, "the data itself", advice)
    size = subject.features or 0.0
    if size < limits.unscaled or not (does_not_learn(history, limits) or broken):
        return None
    evidence = f"an input feature has a root mean square of {size:.3g}; networks are initialized for about 1"
    advice = "Scale the inputs to mean 0 and standard deviation 1: x = (x - mean) / std, of the training data."
    return Finding("bad_data", None, step, size, limits.unscaled, evidence, "inputs are not scaled", advice)


def _is_trivial(history: History, limits: Thresholds) -> bool:
    loss = history.recent_loss(limits.window)
    if history.looks:
        return False  # labels of several classes were seen since: one of them is rare
    return history.latest.step >= patience(history, limits) and loss < NEARLY_NOTHING * history.first_loss
