"""Inputs or labels from which no network can learn, or for which it is not initialized.

Labels of one class, missing numbers and the like are reported at once; inputs that are not scaled only if the net does
not learn, because some nets do (LeCun et al., 1998, Efficient BackProp, section 4.3).
"""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = (
    *("vanishing", "exploding", "dead_units", "saturated", "non_finite", "stalled", "unstable", "overclipped"),
    "poor_init",
)


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds a fault of the data, or an input feature far from unit scale in a net that does not learn."""
    step, subject = history.latest.step, history.subject
    if subject.faults:
        return Finding("bad_data", None, step, 1.0, 0.0, "; ".join(subject.faults), "the data itself")
    size = subject.features or 0.0
    if size < limits.unscaled or not (does_not_learn(history, limits) or history.latest.worst == float("inf")):
        return None
    evidence = f"an input feature has a root mean square of {size:.3g}; networks are initialized for about 1"
    return Finding("bad_data", None, step, size, limits.unscaled, evidence, "inputs are not scaled")
