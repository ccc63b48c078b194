"""What the log says of a verdict: where nothing else shows it, as in a project of one's own without TensorBoard."""

from __future__ import annotations

import logging

from gradvitals.diagnosis.diagnose import Diagnosis
from gradvitals.diagnosis.outcome import HEALTHY, UNDECIDED

log = logging.getLogger(__name__)
QUIET = (HEALTHY, UNDECIDED)  # no reason for a warning


class Announcer:
    """Logs the verdicts of one fit; a monitor has one in the first process.

    Args:
        known: the verdict with which the fit begins, which was announced before.
        information: where lines that are no warnings go. Python shows those only from a logger with a handler.
    """

    def __init__(self, known: str = UNDECIDED, information: logging.Logger = log) -> None:
        self._warned = {known} - set(QUIET)
        self._information = information

    def change(self, found: Diagnosis, step: int) -> None:
        """Warns of a verdict, once; says where a verdict was taken back."""
        if found.verdict not in QUIET:
            if found.verdict not in self._warned:
                log.warning(f"gradvitals: {_sentence(found)}")
            self._warned.add(found.verdict)
        elif found.verdict == HEALTHY and self._warned:
            self._information.info(f"gradvitals: healthy again at step {step}")

    def end(self, found: Diagnosis, stopped: bool) -> None:
        """Says the last verdict in one line."""
        ended = "; auto_stop ended the fit" if stopped else ""
        self._information.info(f"gradvitals: the verdict at the end of the fit: {_sentence(found)}{ended}")


def _sentence(found: Diagnosis) -> str:
    """The verdict on one line, with what may help."""
    advice = found.advice
    return " ".join(f"{found}. {advice}".split()) if advice else " ".join(str(found).split())
