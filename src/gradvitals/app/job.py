"""One job as Hydra runs it: where it writes, what was typed, and how it ends where it is refused."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.check import check
from gradvitals.app.errors import Refused, explain, full_errors
from gradvitals.app.files import discard, write_json
from gradvitals.app.guard import leave, typed_keys
from gradvitals.app.launcher import Launcher, is_first_process
from gradvitals.app.put_off import import_lightning
from gradvitals.app.signals import INTERRUPTED
from gradvitals.results.objective import AUTO, warn_if_guessed

SEED = "PL_GLOBAL_SEED"  # Lightning's, by which it tells the processes that it starts


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
            Refused: see :func:`gradvitals.app.check.check`.
        """
        settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        settings |= {"overrides": self.overrides, "typed": typed_keys(self.overrides), "choices": self.choices}
        settings["in_sweep"] = self.sweep is not None
        if launcher := Launcher.at_work():
            settings["trainer"] = launcher.place(settings["trainer"], settings["typed"])
            if settings["seed"] is None and SEED not in os.environ:
                raise Refused(
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


def _drawn_before(ckpt_path: str | None) -> int | None:
    """The seed that another process of a distributed run drew, or this run before it was resumed; None: none did."""
    if "LOCAL_RANK" in os.environ and (inherited := os.environ.get(SEED)):
        return int(inherited)
    if ckpt_path is None:
        return None
    from gradvitals.app.checkpoints import read_header
    from gradvitals.loops.resumable import seed_of

    return seed_of(read_header(Path(ckpt_path), "ckpt_path"))


def prepare(settings: dict[str, Any]) -> None:
    """Import what is heavy, silence what no user can act on, and seed every generator."""
    import_lightning()
    from lightning import seed_everything

    from gradvitals.app.quiet import quiet

    quiet()
    if settings["seed"] is None:
        drawn = _drawn_before(settings.get("ckpt_path"))
        settings["seed"] = secrets.randbelow(2**32) if drawn is None else drawn
    seed_everything(settings["seed"], workers=True, verbose=False)
