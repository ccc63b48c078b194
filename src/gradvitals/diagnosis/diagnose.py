"""From a history to one verdict: which rules have found something, and which of them is the cause."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History, Observation, Subject
from gradvitals.diagnosis.learning import learnt, patience
from gradvitals.diagnosis.profile import Profile
from gradvitals.diagnosis.rules import rules
from gradvitals.diagnosis.thresholds import Thresholds

HEALTHY = "healthy"
MOST = 256  # moments that are kept


@dataclass(frozen=True)
class Diagnosis:
    """One verdict.

    Attributes:
        verdict: ``healthy`` or the name of a rule.
        severity: 0 healthy; else the share of the loss of a constant output that is left, at most 1.
        step: at which the verdict was given; None: healthy.
        findings: the cause first, its symptoms after it.
    """

    verdict: str = HEALTHY
    severity: float = 0.0
    step: int | None = None
    findings: Sequence[Finding] = field(default_factory=tuple)

    def __str__(self) -> str:
        if not self.findings:
            return HEALTHY
        cause, *symptoms = self.findings
        words = f"{self.verdict} at step {self.step}: {cause.evidence}" + (f" ({cause.cause})" if cause.cause else "")
        return f"{words}; with it: {', '.join(s.rule for s in symptoms)}" if symptoms else words


class Examination:
    """Takes in one moment after the other and says what is wrong.

    A verdict stands until the net has learnt, or until a deeper cause of it is found.

    Args:
        subject: the network.
        limits: the thresholds.

    Example:
        >>> run = Examination(Subject(chance=2.3))
        >>> run.take(Observation(0, 1, loss=2.3, worst=2.3)).verdict
        'healthy'
    """

    def __init__(self, subject: Subject | None = None, limits: Thresholds | None = None) -> None:
        self.history = History(subject or Subject())
        self.limits = limits or Thresholds()
        self.diagnosis = Diagnosis()

    def take(self, moment: Observation) -> Diagnosis:
        """Add a moment and judge anew."""
        self.history.moments.append(moment)
        if len(self.history.moments) > MOST:  # the first and the latest half are dense enough
            del self.history.moments[10 : MOST // 2 : 2]
        self.diagnosis = self._judge()
        return self.diagnosis

    def _judge(self) -> Diagnosis:
        known = self.diagnosis
        found = [f for rule in rules() if (f := rule.judge(self.history, self.limits)) is not None]
        names = {finding.rule for finding in found}
        if known.findings and known.verdict not in names:
            if self._recovered and not names:
                return Diagnosis()
            found.append(known.findings[0])
        if not found:
            return Diagnosis()
        ranked = _by_cause(found)
        verdict = ranked[0].rule
        step = known.step if verdict == known.verdict else ranked[0].step
        return Diagnosis(verdict, self._severity(), step, tuple(ranked))

    def state_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {"moments": [asdict(moment) for moment in self.history.moments], "diagnosis": asdict(self.diagnosis)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        moments = [Observation(**moment) for moment in state["moments"]]
        self.history.moments = [replace(m, gradients=Profile(**m.gradients)) for m in moments]  # type: ignore[arg-type]
        findings = tuple(Finding(**finding) for finding in state["diagnosis"]["findings"])
        self.diagnosis = replace(Diagnosis(**state["diagnosis"]), findings=findings)

    @property
    def _recovered(self) -> bool:
        """Whether the net has caught up, or was held up for a short while only."""
        share, limits = learnt(self.history, self.limits), self.limits
        since = self.history.latest.step - (self.diagnosis.step or 0)
        shortly = since <= 2 * patience(self.history, limits)
        return share >= (limits.learns if shortly else limits.recovered)

    def _severity(self) -> float:
        share = 1 - learnt(self.history, self.limits)
        return min(max(share, 0.0), 1.0) if math.isfinite(share) else 1.0


def _by_cause(found: Sequence[Finding]) -> list[Finding]:
    """Causes before their symptoms: a finding comes the earlier, the fewer of the others explain it."""
    explains = {rule.name: rule.explains for rule in rules()}
    names = [finding.rule for finding in found]
    explained = {name: sum(name in explains[other] for other in names if other != name) for name in names}
    return sorted(found, key=lambda finding: (explained[finding.rule], -len(explains[finding.rule])))


def diagnose(history: History, limits: Thresholds | None = None) -> Diagnosis:
    """The verdict on a whole history.

    Example:
        >>> from gradvitals.diagnosis.profile import profile
        >>> vanished = profile([1e-9, 1e-6, 1e-3])
        >>> losses = [Observation(step, 50, loss=2.3, worst=2.4, gradients=vanished) for step in (0, 50, 100)]
        >>> print(str(diagnose(History(Subject(chance=2.3), losses)))[:90])
        vanishing at step 50: layer 0 receives 1e-06 of layer 2's gradient: 0.001 per layer (activ
    """
    run = Examination(history.subject, limits)
    for moment in history.moments:
        run.take(moment)
    return run.diagnosis
