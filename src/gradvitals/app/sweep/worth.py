"""What a trial of a sweep is worth to whoever chose it."""

from __future__ import annotations

from gradvitals.report.records import Record
from gradvitals.report.sweep import objective_tag, worst


def worth(ran: Record, objective: str) -> float:
    """The best value of the objective; a finite penalty where the run diverged or has none.

    Args:
        ran: a run that has a result.
        objective: metric, or ``auto``.

    Example:
        >>> from pathlib import Path
        >>> worth(Record(Path("a"), {"status": "completed", "metrics": {"val/acc": {"best": 0.9}}}), "auto")
        0.9
        >>> worth(Record(Path("a"), {"status": "diverged", "metrics": {"val/acc": {"best": 0.3}}}), "auto")
        0.0
    """
    tag = objective_tag(ran.result.get("metrics", {}), objective)
    value = None if ran.status == "diverged" or tag is None else ran.metric(tag)
    return worst(tag) if value is None else value
