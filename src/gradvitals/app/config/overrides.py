"""Overrides: parsed, quoted, replayed, and the directory name made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from gradvitals.errors import ConfigError

OVERRIDE = re.compile(r"(\+\+|\+|~)?[A-Za-z_][\w./@:$-]*(=.*)?", re.DOTALL)  # and no flag, such as --config-dir
SLURM = (  # not setup, additional_parameters and submitit_folder: they run commands, or read pickles
    "timeout_min|signal_delay_s|max_num_timeout|nodes|tasks_per_node|gpus_per_node|gpus_per_task|cpus_per_task"
    "|cpus_per_gpu|mem_gb|mem_per_gpu|mem_per_cpu|partition|qos|account|constraint|exclude|gres|stderr_to_stdout"
)
# A cluster's address is none of these unless it is this machine's: what comes back from there is unpickled here.
RAY = r"ray\.(init\.(num_cpus|num_gpus|include_dashboard|logging_level)|remote\.(num_cpus|num_gpus|max_retries))"
HARMLESS = re.compile(
    r"\+{0,2}(hydra/(launcher|sweeper)=\w+"
    r"|hydra\.(mode|verbose|sweep\.subdir|job\.chdir)=[^/\\]*"
    r"|hydra\.sweeper\.(?!.*_target_).*"
    r"|hydra\.launcher\.ray\.init\.address=(null|auto)"
    rf"|hydra\.launcher\.(n_jobs|batch_size|pre_dispatch|array_parallelism|{SLURM}|{RAY})=[^/\\]*)",
    re.DOTALL,
)

LONGEST = 100  # characters; file systems refuse more than 255


def replayed(words: Iterable[object], source: Path) -> list[str]:
    """The saved words.

    Args:
        words: as saved.
        source: the file that they come from, for the error.

    Raises:
        Refused: a flag, or a key of Hydra's that decides what code runs.

    Example:
        >>> replayed(["act=elu", "hydra.launcher.n_jobs=2"], Path("multirun.yaml"))
        ['act=elu', 'hydra.launcher.n_jobs=2']
        >>> replayed(["hydra.callbacks.x._target_=os.system"], Path("o.yaml"))
        Traceback (most recent call last):
        ...
        gradvitals.errors.ConfigError: o.yaml: expected settings of a run; got hydra.callbacks.x._target_=os.system
    """
    found = [str(word) for word in words]
    for word in found:
        is_hydras = word.lstrip("+~").startswith(("hydra.", "hydra/", "hydra@", "hydra="))
        if not OVERRIDE.fullmatch(word) or (is_hydras and not HARMLESS.fullmatch(word)):
            raise ConfigError(f"{source}: expected settings of a run; got {word}")
    return found


def slug(text: str) -> str:
    """``_`` and the text reduced to letters, digits and ``=,.-_``; nothing for nothing.

    No slash survives and no leading dot, so that the name stays inside its folder.

    Example:
        >>> slug("model=bn,data.root=../../evil")
        '_model=bn,data.root=evil'
        >>> slug("")
        ''
    """
    last_parts = ",".join(_last_part(item) for item in text.split(","))
    safe = re.sub(r"[^A-Za-z0-9=,.\-_]+", "-", last_parts).strip(".-,")[:LONGEST]
    return f"_{safe}" if safe else ""


def _last_part(item: str) -> str:
    """Of a path in a value, its last part: it says enough."""
    key, equals, value = item.partition("=")
    return f"{key}{equals}{PurePath(value).name}" if "/" in value else item


def quoted(path: Path) -> str:
    """Quoted for Hydra, which would read a comma as a sweep."""
    escaped = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def typed_keys(overrides: list[str]) -> list[str]:
    """The keys of typed overrides, without signs of addition."""
    return [override.lstrip("+").partition("=")[0] for override in overrides]
