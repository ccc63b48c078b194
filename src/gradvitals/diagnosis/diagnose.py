"""Derives one verdict from a history: applies all rules, and separates the cause from its symptoms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History, Observation, Subject
from gradvitals.diagnosis.judgment import outcome
from gradvitals.diagnosis.learning import learned, patience
from gradvitals.diagnosis.metric import Metric
from gradvitals.diagnosis.outcome import HEALTHY, NOT_LEARNING, UNDECIDED
from gradvitals.diagnosis.rules import rules
from gradvitals.diagnosis.thresholds import Thresholds

MAX_OBSERVATIONS = 256


@dataclass(frozen=True)
class Diagnosis:
    """A verdict and its evidence.

    Attributes:
        verdict: ``healthy``, ``not_learning``, ``undecided`` or the name of a rule.
        severity: 0 if healthy, None if undecided; else the loss over that of a constant output, at most 1.
        step: the step of the verdict; None if healthy or undecided.
        findings: the cause, followed by its symptoms.
        reason: why, where there is no finding.

    Example:
        >>> found = Diagnosis()
        >>> found.is_sick, str(found)
        (False, 'undecided: no step was measured')
    """

    verdict: str = UNDECIDED
    severity: float | None = None
    step: int | None = None
    findings: Sequence[Finding] = field(default_factory=tuple)
    reason: str = "no step was measured"

    @property
    def is_sick(self) -> bool:
        """Whether something is wrong; that nothing is learned is enough."""
        return self.verdict not in (HEALTHY, UNDECIDED)

    @property
    def advice(self) -> str:
        """What may help against the cause, in words for any project; empty where nothing is known."""
        return self.findings[0].advice if self.findings else ""

    def __str__(self) -> str:
        if not self.findings:
            at = f" at step {self.step}" if self.step is not None else ""
            return f"{self.verdict}{at}" + (f": {self.reason}" if self.reason and self.verdict != HEALTHY else "")
        cause, *symptoms = self.findings
        text = f"{self.verdict} at step {self.step}: {cause.evidence}" + (f" ({cause.cause})" if cause.cause else "")
        return f"{text}; with it: {', '.join(s.rule for s in symptoms)}" if symptoms else text


class Examination:
    """Updates the diagnosis with each observation.

    A verdict stays until the net learns, or until a cause of it is found.

    Example:
        >>> run = Examination(Subject(chance=2.3))
        >>> print(run.take(Observation(0, 1, loss=2.3, worst=2.3)))
        undecided: 1 of the 50 steps that a verdict needs
    """

    def __init__(self, subject: Subject | None = None, limits: Thresholds | None = None) -> None:
        self.history = History(subject or Subject())
        self.limits = limits or Thresholds()
        self.diagnosis = Diagnosis()

    def take(self, observation: Observation) -> Diagnosis:
        self.history.observations.append(observation)
        if len(self.history.observations) > MAX_OBSERVATIONS:  # keeps the first ones, and the latest half
            del self.history.observations[10 : MAX_OBSERVATIONS // 2 : 2]
        self.diagnosis = self._judge()
        return self.diagnosis

    def _judge(self) -> Diagnosis:
        known = self.diagnosis
        found = [f for rule in rules() if (f := rule.judge(self.history, self.limits)) is not None]
        names = {finding.rule for finding in found}
        if known.findings and known.verdict not in names:
            if self._recovered and not names:
                return self._without_cause()
            found.append(known.findings[0])
        if not found:
            return self._without_cause()
        ranked = _by_cause(found)
        verdict = ranked[0].rule
        step = known.step if verdict == known.verdict else ranked[0].step
        return Diagnosis(verdict, self._severity(), step, tuple(ranked), "")

    def _without_cause(self) -> Diagnosis:
        verdict, reason = outcome(self.history, self.limits)
        if verdict == NOT_LEARNING:
            same = self.diagnosis.verdict == verdict
            step = self.diagnosis.step if same else self.history.latest.step
            by_loss = learned(self.history, self.limits) < self.limits.learns  # else a metric shows it
            return Diagnosis(verdict, self._severity() if by_loss else 1.0, step, (), reason)
        return Diagnosis(verdict, 0.0 if verdict == HEALTHY else None, None, (), reason)

    def state_dict(self) -> dict[str, Any]:
        return {
            "moments": [o.plain() for o in self.history.observations],
            "diagnosis": asdict(self.diagnosis),
            "metrics": [asdict(metric) for metric in self.history.metrics.values()],
            "subject": asdict(self.history.subject),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.history.observations = [Observation.from_dict(observation) for observation in state["moments"]]
        self.history.metrics = {m.name: m for m in map(Metric.from_dict, state.get("metrics", ()))}
        self.history.subject = Subject.from_dict(state.get("subject", {}))
        findings = tuple(Finding(**finding) for finding in state["diagnosis"]["findings"])
        self.diagnosis = replace(Diagnosis(**state["diagnosis"]), findings=findings)

    @property
    def _recovered(self) -> bool:
        """Whether the net learns again. Soon after the verdict, a smaller improvement suffices."""
        share, limits = learned(self.history, self.limits), self.limits
        since = self.history.latest.step - (self.diagnosis.step or 0)
        soon = since <= 2 * patience(self.history, limits)
        return share >= (limits.learns if soon else limits.recovered) or self.history.metric_improves

    def _severity(self) -> float:
        share = 1 - learned(self.history, self.limits)
        return min(max(share, 0.0), 1.0) if math.isfinite(share) else 1.0


def _by_cause(found: Sequence[Finding]) -> list[Finding]:
    """Sorts causes before their symptoms, by how many of the other findings explain each."""
    explains = {rule.name: rule.explains for rule in rules()}
    names = [finding.rule for finding in found]
    explained = {name: sum(name in explains[other] for other in names if other != name) for name in names}
    return sorted(found, key=lambda finding: (explained[finding.rule], -len(explains[finding.rule])))


def diagnose(history: History, limits: Thresholds | None = None) -> Diagnosis:
    """Returns the diagnosis of a whole history.

    Args:
        history: what was measured, at least one observation for a verdict.
        limits: the thresholds of the rules; None: the defaults.

    Example:
        >>> from gradvitals.diagnosis.profile import profile
        >>> vanished = profile([1e-9, 1e-6, 1e-3])
        >>> losses = [Observation(step, 50, loss=2.3, worst=2.4, gradients=vanished) for step in (0, 50, 100)]
        >>> print(str(diagnose(History(Subject(chance=2.3), losses)))[:90])
        vanishing at step 50: layer 0 receives 1e-06 of layer 2's gradient: 0.001 per layer (activ
    """
    run = Examination(history.subject, limits)
    for observation in history.observations:
        run.take(observation)
    return run.diagnosis
