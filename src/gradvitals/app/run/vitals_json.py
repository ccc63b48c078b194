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
    """Writes ``result.json``, and ``vitals.json`` where there is a monitor; returns what went wrong with that."""
    monitor = run.monitor
    try:
        run_dir.mkdir(parents=True, exist_ok=True)  # it may have vanished since
        result.write(run_dir)
        if monitor is not None and monitor.layers:  # none before the first measured step
            write_json(run_dir / "vitals.json", vitals(monitor) | {"remedies": [asdict(remedy) for remedy in remedies]})
    except OSError as error:
        return f"cannot write the results to {short(run_dir)}: {error.strerror}. What was saved before is whole"
    return None
