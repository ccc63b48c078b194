"""What the log says of a verdict: where nothing else shows it, as in a project of one's own without TensorBoard."""

from __future__ import annotations

import logging

from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_only

from gradvitals.diagnosis.diagnose import Diagnosis
from gradvitals.diagnosis.outcome import HEALTHY, UNDECIDED

log = logging.getLogger(__name__)
QUIET = (HEALTHY, UNDECIDED)  # no reason for a warning


def advice_of(found: Diagnosis) -> str:
    """Returns what may help against the cause, in words for any project; empty where nothing is known."""
    return found.findings[0].advice if found.findings else ""


class Announcer:
    """Logs the verdicts of one fit, in its first process.

    A warning is seen under Python's default logging, an info line only from Lightning's logger, which has a handler.

    Args:
        known: the verdict with which the fit begins, which was announced before.
    """

    def __init__(self, known: str = UNDECIDED) -> None:
        self._warned = {known} - set(QUIET)

    def change(self, found: Diagnosis, step: int) -> None:
        """Warns of a verdict, once; says where a verdict was taken back."""
        if found.verdict not in QUIET:
            if found.verdict not in self._warned:
                _warn(f"gradvitals: {_sentence(found)}")
            self._warned.add(found.verdict)
        elif found.verdict == HEALTHY and self._warned:
            rank_zero_info(f"gradvitals: healthy again at step {step}")

    def end(self, found: Diagnosis, stopped: bool) -> None:
        """Says the last verdict in one line."""
        ended = "; auto_stop ended the fit" if stopped else ""
        rank_zero_info(f"gradvitals: the verdict at the end of the fit: {_sentence(found)}{ended}")


@rank_zero_only
def _warn(text: str) -> None:
    log.warning(text)


def _sentence(found: Diagnosis) -> str:
    """The verdict on one line, with what may help."""
    advice = advice_of(found)
    return " ".join(f"{found}. {advice}".split()) if advice else " ".join(str(found).split())
