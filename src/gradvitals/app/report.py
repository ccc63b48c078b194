"""The page of a run, written when it ends."""

from __future__ import annotations

import logging
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger

from gradvitals.app.assemble import Run
from gradvitals.app.files import write_bytes
from gradvitals.app.remedy_overrides import with_remedy
from gradvitals.report.records import read
from gradvitals.report.run_page import run_page

log = logging.getLogger(__name__)
NAME = "report.html"


def write_report(run: Run, run_dir: Path) -> None:
    """Write ``report.html`` from what lies in a run's directory; a page that cannot be written is told of."""
    try:
        for logger in run.trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.flush()  # its curves are read back from the file
        write_bytes(run_dir / NAME, run_page(read(run_dir), with_remedy).encode())
    except Exception as error:  # the results are there
        log.warning(f"{NAME} cannot be written: {error}")
