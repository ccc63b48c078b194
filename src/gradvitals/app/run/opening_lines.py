"""The opening lines of a run: where it writes, and its config where ``print_config`` asks for it."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import OmegaConf

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.job import Job
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.formatting import short, visible

KEY = "print_config"


def announce_run(job: Job, begun: bool = False) -> None:
    """Prints where a run writes, from its first process; jobs of a sweep, which names its own directory, are silent.

    Args:
        begun: False before torch is imported, where a terminal gets the line; True when nothing can be refused anymore,
            where a log gets it: a refusal remains one line there.
    """
    is_due = not begun if sys.stderr.isatty() else begun
    if is_first_process() and job.sweep is None and is_due:
        announce_directory("run", job.run_dir)


def announce_directory(what: str, folder: Path) -> None:
    """Prints the directory of a run or a sweep on stderr, which keeps it out of pipes."""
    print(f"{what:<12} {visible(short(folder))}", file=sys.stderr, flush=True)


def show_config(job: Job, config: RunConfig) -> None:
    """Prints the config as YAML if ``print_config`` asks for it; jobs of a sweep do so only where that is typed."""
    if not (is_first_process() and config[KEY] and (job.sweep is None or KEY in job.overrides.typed_keys)):
        return
    text = OmegaConf.to_yaml(OmegaConf.create(dict(config.values)))
    if not sys.stdout.isatty():  # as it is, so that it can be read back
        print(text, end="", flush=True)
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(text, "yaml", theme="ansi_dark", background_color="default", word_wrap=True))
