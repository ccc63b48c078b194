"""One job as Hydra runs it: where it writes, what was typed, and how it ends where it is refused."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.error_messages import explain, full_errors, leave
from gradvitals.app.config.overrides import typed_keys
from gradvitals.app.config.validate import check
from gradvitals.distributed.cluster_environment import ClusterEnvironment, is_first_process
from gradvitals.errors import INTERRUPTED, ConfigError
from gradvitals.results.files import write_json
from gradvitals.results.objective import AUTO, warn_if_guessed

SEED = "PL_GLOBAL_SEED"  # Lightning's, by which it tells the processes that it starts

HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")
LOG_FILES = (
    "train.log",
    "preflight.log",
    "cure.log",
    "hparams.yaml",
    "metrics.csv",
    "events.out.tfevents.*",
    "gradient_by_layer.png",
    "report.html",
)


@dataclass(frozen=True)
class Sweep:
    """The multirun that a job belongs to: its directory, and its sweeper's settings."""

    folder: Path
    options: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What Hydra says of the job at hand.

    Attributes:
        run_dir: where its files go.
        overrides: what was typed, or what the sweep chose.
        sweep: what it is one of; None: of no multirun.
        choices: the option of each group.
    """

    run_dir: Path
    overrides: list[str]
    choices: dict[str, str]
    sweep: Sweep | None = None

    @classmethod
    def at_hand(cls) -> Job:
        """The job that this process is in."""
        hydra = HydraConfig.get()
        choices = {group: option for group, option in hydra.runtime.choices.items() if "/" not in group}
        options: dict[str, Any] = OmegaConf.to_container(hydra.sweeper, resolve=True)  # type: ignore[assignment]
        sweep = Sweep(Path(hydra.sweep.dir), options) if hydra.mode == RunMode.MULTIRUN else None
        return cls(Path(hydra.runtime.output_dir), list(hydra.overrides.task), choices, sweep)

    def settings(self, config: DictConfig) -> dict[str, Any]:
        """The config as plain values, checked, with ``typed`` keys, ``overrides`` and ``choices`` beside it.

        Raises:
            Refused: see :func:`gradvitals.app.config.validate.check`.
        """
        settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        settings |= {"overrides": self.overrides, "typed": typed_keys(self.overrides), "choices": self.choices}
        settings["in_sweep"] = self.sweep is not None
        if launcher := ClusterEnvironment.at_work():
            settings["trainer"] = launcher.place(settings["trainer"], settings["typed"])
            if settings["seed"] is None and SEED not in os.environ:
                raise ConfigError(
                    f"seed: expected a number; each process of {launcher.name} would draw its own. Set seed=NUMBER"
                )
        check(settings, settings["typed"])
        if self.sweep is None and is_first_process():  # a sweep reports it once for all its jobs
            warn_if_guessed(settings.get("objective", AUTO), settings.get("objective_mode", AUTO))
        return settings

    @contextmanager
    def refusals(self, began: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Turn an error into one line and exit code 1, and remove the directory of what never began.

        Raises:
            SystemExit: 1 refused or failed, 130 Ctrl-C, 143 SIGTERM. In a sweep an error goes on to Hydra, which goes
                on with the next job.
        """
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as left:
            if is_first_process() and not began():
                self._discard()
            raise SystemExit(INTERRUPTED if isinstance(left, KeyboardInterrupt) else left.code) from None
        except Exception as error:
            if is_first_process() and not began():
                self._never_began(explain(error))
            if self.sweep or full_errors():
                raise
            leave(explain(error))

    def _never_began(self, reason: str) -> None:
        """A refused run leaves no directory; a refused job of a sweep leaves its reason there."""
        if self.sweep:
            found = {"status": "failed", "reason": reason, "overrides": self.overrides}
            write_json(self.run_dir / "result.json", found)
        else:
            self._discard()

    def _discard(self) -> None:
        """Remove the directory, unless it was there: a run that is resumed can be resumed again."""
        parsed = [OverridesParser.create().parse_override(word) for word in self.overrides]
        resumed = [Path(str(word.value())).absolute() for word in parsed if word.key_or_group == "resume"]
        if self.run_dir.absolute() not in resumed:
            discard(self.run_dir)


def discard(run_dir: Path) -> None:
    """Remove what Hydra and the loggers made for a run that never began.

    A run that is there already (one that is resumed) stays whole, and so does a folder with anything else in it.
    """
    if any((run_dir / name).exists() for name in ("result.json", "checkpoints")):
        return
    logging.shutdown()  # closes the log file
    logs = [file for pattern in LOG_FILES for file in run_dir.glob(pattern)]
    for file in (*(run_dir / ".hydra" / name for name in HYDRA_FILES), *logs):
        file.unlink(missing_ok=True)
    for folder in (run_dir / ".hydra", run_dir):
        with contextlib.suppress(OSError):  # not empty: something else lives there
            folder.rmdir()
