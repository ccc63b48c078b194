"""The file ``vitals.json`` of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gradvitals.app.run.assemble import Run
from gradvitals.callbacks.vitals_content import vitals
from gradvitals.diagnosis.remedies import Remedy
from gradvitals.formatting import short
from gradvitals.results.files import write_json
from gradvitals.results.result import Result


def write(result: Result, run: Run, remedies: Sequence[Remedy], run_dir: Path) -> str | None:
    """Writes ``vitals.json`` where there is a monitor, and ``result.json``; returns what went wrong with that.

    ``result.json`` is the last one, because a run that has it is complete and is not resumed.
    """
    monitor = run.monitor
    try:
        run_dir.mkdir(parents=True, exist_ok=True)  # it may have vanished since
        if monitor is not None and monitor.layers:  # none before the first measured step
            write_json(run_dir / "vitals.json", vitals(monitor) | {"remedies": [asdict(remedy) for remedy in remedies]})
        result.write(run_dir)
    except OSError as error:
        return f"cannot write the results to {short(run_dir)}: {error.strerror}. What was saved before is whole"
    return None
