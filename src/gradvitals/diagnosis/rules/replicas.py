"""Processes whose copies of the weights differ: each trains a network of its own, and the mean of none.

Copies that begin alike and add the same gradients stay equal to the last bit. They differ where layers are initialized
with another seed in each process, changed outside of backward, or called past the wrapper that averages gradients.
"""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("stalled", "unstable")
DIFFERENCE = 1e-6  # relative, above the rounding of float32
STEPS = 2  # measured steps
ADVICE = (
    "Call the wrapped module and not `.module`, build it before wrapping it, and change weights in all processes "
    "alike: torch.distributed.broadcast(parameter.data, src=0) for each parameter makes the copies equal"
)


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds weights that differ between processes at two measured steps, the latest one among them."""
    known = [(o.step, state.replicas_differ) for o, state in history.with_state if state.replicas_differ is not None]
    differing = [(step, value) for step, value in known if value > DIFFERENCE]
    if len(differing) < STEPS or differing[-1] != known[-1]:
        return None
    step, value = differing[-1]
    evidence = f"the weights of the processes differ by {value:.1e} of their size since step {differing[0][0]}"
    cause = "gradients are not averaged over the processes, or weights are changed in some of them only"
    return Finding("replicas", None, step, value, DIFFERENCE, evidence, cause, ADVICE)
