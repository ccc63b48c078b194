"""Whether a network memorized the few batches on which it was trained again and again."""

from __future__ import annotations

from gradvitals.formatting import number

MEMORIZED, LEARNED_NOTHING = 0.05, 0.5  # of the loss of guessing: at most, at least
LOOK_AT = "Look at the verdict, at optimizer.lr, at the labels, and at whether output and loss fit"
OTHER_CAUSE = "If the whole training set is not learned, look at its labels, at optimizer.lr and at the epochs"


def overfit_answer(loss: float | None, guessing: float | None, steps: int) -> str:
    """Returns the answer to ``debug=overfit``.

    Args:
        loss: the last training loss; None where it is not finite.
        guessing: the loss of the best constant output; None where it is not known.
        steps: of the optimizer.

    Example:
        >>> overfit_answer(0.0003, 2.302, 200).partition(". ")[0]
        'yes: train/loss is 0.0003 after 200 steps, and 2.302 by guessing: the network can memorize these samples'
        >>> overfit_answer(2.3, 2.302, 200).partition(". ")[0]
        'no: train/loss is 2.3 after 200 steps, and 2.302 by guessing: the network does not memorize even these samples'
    """
    if loss is None:
        return f"no: train/loss is not finite after {steps} steps. {LOOK_AT}"
    found = f"train/loss is {number(loss)} after {steps} steps"
    if not guessing:
        return f"{found}; the network has memorized the samples if this is nearly 0"
    found = f"{found}, and {number(guessing)} by guessing"
    if loss <= MEMORIZED * guessing:
        return f"yes: {found}: the network can memorize these samples. {OTHER_CAUSE}"
    if loss >= LEARNED_NOTHING * guessing:
        return f"no: {found}: the network does not memorize even these samples. {LOOK_AT}"
    return f"not yet: {found}. Try more steps by trainer.max_epochs=1000, or another optimizer.lr"
