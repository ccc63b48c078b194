"""One job as Hydra runs it: where it writes, its config, and how it ends where it is refused."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.error_messages import explain, full_errors, leave
from gradvitals.app.config.overrides import Overrides
from gradvitals.app.config.pre_run_check import PreRunCheck
from gradvitals.app.config.run_config import RunConfig
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import INTERRUPTED
from gradvitals.results.result import Result
from gradvitals.results.status import Status

HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")
LOG_FILES = (
    "train.log",
    "preflight.log",
    "cure.log",
    "hparams.yaml",
    "metrics.csv",
    "events.out.tfevents.*",
    "gradient_by_layer.png",
    "gradient_through_time.png",
    "report.html",
)


@dataclass(frozen=True)
class SweepContext:
    """The multirun that a job belongs to."""

    folder: Path
    options: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One job as Hydra runs it."""

    run_dir: Path
    overrides: Overrides
    sweep: SweepContext | None = None

    @classmethod
    def current(cls) -> Job:
        hydra = HydraConfig.get()
        options: dict[str, Any] = OmegaConf.to_container(hydra.sweeper, resolve=True)  # type: ignore[assignment]
        sweep = SweepContext(Path(hydra.sweep.dir), options) if hydra.mode == RunMode.MULTIRUN else None
        return cls(Path(hydra.runtime.output_dir), Overrides(hydra.overrides.task), sweep)

    def config(self, composed: DictConfig) -> RunConfig:
        """Returns the job's config, validated here unless it passed before the run directory was made."""
        config = RunConfig.resolve(composed, HydraConfig.get())  # type: ignore[arg-type]
        if config != PreRunCheck.passed:
            config.validate()
        return config

    @contextmanager
    def refusals(self, began: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Turns an error into one line and exit code 1, and removes the directory of a run that never began.

        Raises:
            SystemExit: 1 refused or failed, 130 Ctrl-C, 143 SIGTERM. In a sweep an error is raised again, and Hydra
                runs the next job.
        """
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as ending:
            if is_first_process() and not began():
                self._discard()
            raise SystemExit(INTERRUPTED if isinstance(ending, KeyboardInterrupt) else ending.code) from None
        except Exception as error:
            if is_first_process() and not began():
                self._never_began(explain(error))
            if self.sweep or full_errors():
                raise
            leave(explain(error))

    def _never_began(self, reason: str) -> None:
        """A refused run leaves no directory; a refused job of a sweep leaves its reason there."""
        if self.sweep:
            Result(Status.FAILED, reason, overrides=list(self.overrides)).write(self.run_dir)
        else:
            self._discard()

    def _discard(self) -> None:
        """A run that is resumed stays, so that it can be resumed again."""
        resumed = self.overrides.value("resume")
        if resumed is None or self.run_dir.absolute() != Path(str(resumed)).absolute():
            discard(self.run_dir)


def discard(run_dir: Path) -> None:
    """Removes what Hydra and the loggers made for a run that never began.

    The directory of an earlier run stays whole, and so does a folder that contains anything else.
    """
    if any((run_dir / name).exists() for name in ("result.json", "checkpoints")):
        return
    logging.shutdown()  # closes the log file
    logs = [file for pattern in LOG_FILES for file in run_dir.glob(pattern)]
    for file in (*(run_dir / ".hydra" / name for name in HYDRA_FILES), *logs):
        file.unlink(missing_ok=True)
    for folder in (run_dir / ".hydra", run_dir):
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()
