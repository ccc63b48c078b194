"""Overrides: parsed, quoted, replayed from a file, and the directory name made of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from gradvitals.errors import ConfigError

OVERRIDE = re.compile(r"(\+\+|\+|~)?[A-Za-z_][\w./@:$-]*(=.*)?", re.DOTALL)  # and no flag, such as --config-dir
SLURM = (  # not setup, additional_parameters and submitit_folder: they run commands, or read pickles
    "timeout_min|signal_delay_s|max_num_timeout|nodes|tasks_per_node|gpus_per_node|gpus_per_task|cpus_per_task"
    "|cpus_per_gpu|mem_gb|mem_per_gpu|mem_per_cpu|partition|qos|account|constraint|exclude|gres|stderr_to_stdout"
)
# The address of a cluster is not among these, except this machine's: what a cluster returns is unpickled here.
RAY = r"ray\.(init\.(num_cpus|num_gpus|include_dashboard|logging_level)|remote\.(num_cpus|num_gpus|max_retries))"
HARMLESS = re.compile(
    r"\+{0,2}(hydra/(launcher|sweeper)=\w+"
    r"|hydra\.(mode|verbose|sweep\.subdir|job\.chdir)=[^/\\]*"
    r"|hydra\.sweeper\.(?!.*_target_).*"
    r"|hydra\.launcher\.ray\.init\.address=(null|auto)"
    rf"|hydra\.launcher\.(n_jobs|batch_size|pre_dispatch|array_parallelism|{SLURM}|{RAY})=[^/\\]*)",
    re.DOTALL,
)

LONGEST = 100  # characters of what was typed in a directory's name; file systems refuse names of more than 255
# Keys that name a folder or show something, and are no setting of a run.
ELSEWHERE = ("paths.", "task_name", "hydra.", "hydra/", "resume", "print_config")


class Overrides(tuple[str, ...]):
    """Overrides in Hydra's grammar, in the order in which they were typed.

    Example:
        >>> typed = Overrides(["act=elu", "+model.depth=3", "~callbacks.best"])
        >>> typed.keys
        ('act', 'model.depth', 'callbacks.best')
        >>> typed.typed_keys
        ('act', 'model.depth')
        >>> str(typed.without("act"))
        '+model.depth=3 ~callbacks.best'
    """

    def __str__(self) -> str:
        return " ".join(self)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key_of(override) for override in self)

    @property
    def typed_keys(self) -> tuple[str, ...]:
        return tuple(key_of(override) for override in self if _sets(override))

    def without(self, *keys: str) -> Overrides:
        return Overrides(override for override in self if key_of(override) not in keys)

    def text(self, key: str) -> str | None:
        """Returns the value of a key as it was typed, the last one; None where it was not typed."""
        values = [override.partition("=")[2] for override in self if key_of(override) == key and _sets(override)]
        return values[-1] if values else None

    def value(self, key: str) -> Any:
        """Returns the value of a key as Hydra reads it; None where it was not typed.

        Example:
            >>> Overrides(["resume='a,b'"]).value("resume")
            'a,b'
        """
        text = self.text(key)
        return None if text is None else OverridesParser.create().parse_override(f"{key}={text}").value()

    @classmethod
    def replay(cls, saved: Iterable[object], source: Path) -> Overrides:
        """Returns overrides that were saved in a file, which may be somebody else's.

        Raises:
            ConfigError: a flag, or a key of Hydra that decides what code runs.

        Example:
            >>> Overrides.replay(["act=elu", "hydra.launcher.n_jobs=2"], Path("multirun.yaml"))
            ('act=elu', 'hydra.launcher.n_jobs=2')
            >>> Overrides.replay(["hydra.callbacks.x._target_=os.system"], Path("o.yaml"))
            Traceback (most recent call last):
            ...
            gradvitals.errors.ConfigError: o.yaml: expected settings of a run; got hydra.callbacks.x._target_=os.system
        """
        found = cls(map(str, saved))
        for override in found:
            is_hydras = key_of(override).startswith(("hydra.", "hydra/", "hydra@")) or key_of(override) == "hydra"
            if not OVERRIDE.fullmatch(override) or (is_hydras and not HARMLESS.fullmatch(override)):
                raise ConfigError(f"{source}: expected settings of a run; got {override}")
        return found


def key_of(override: str) -> str:
    """Returns the key of an override.

    Example:
        >>> key_of("++model.depth=3"), key_of("~callbacks.best")
        ('model.depth', 'callbacks.best')
    """
    return override.lstrip("+~").partition("=")[0]


def parsed(override: str) -> Override | None:
    """Returns an override as Hydra reads it; None where it cannot."""
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException:
        return None


def _sets(override: str) -> bool:
    return "=" in override and not override.startswith("~")


def slug(overrides: Iterable[str]) -> str:
    """Returns what was typed as a part of a directory's name: letters and digits of ASCII, ``-``, ``_`` and ``.``.

    Each override is ``KEY-VALUE``, an experiment its name alone, a path its last two parts, and a key that was removed
    ``no-KEY``. Overrides that only choose where files are written are left out: the path contains them.

    Example:
        >>> slug(["model=bn", "optimizer.lr=1e-3", "model.hidden=[300,100]", "data.path=/home/me/tables/water.csv"])
        'model-bn_optimizer.lr-1e-3_model.hidden-300-100_data.path-tables-water.csv'
        >>> slug(["experiment=vanishing", "~callbacks.best", "paths.logs=/elsewhere"]), slug([])
        ('vanishing_no-callbacks.best', 'default')
    """
    words = "_".join(filter(None, map(_word, map(str, overrides))))
    return words.lstrip("-._")[:LONGEST].rstrip("-._") or "default"


def _word(override: str) -> str:
    key, _, value = override.lstrip("+~").partition("=")
    if key.startswith(ELSEWHERE):
        return ""
    if override.startswith("~"):
        return f"no-{_plain_ascii(key)}"
    if "/" in value:
        value = "/".join([part for part in PurePath(value).parts if part != ".."][-2:])
    shown = _plain_ascii(value)
    return shown if key == "experiment" else f"{_plain_ascii(key)}-{shown}".rstrip("-.")


def _plain_ascii(text: str) -> str:
    """Letters lose their accents; between the others, what is no letter, digit, ``-``, ``_`` or ``.`` becomes ``-``."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "-".join(re.findall(r"[A-Za-z0-9._-]+", ascii_text))


def quoted(path: Path) -> str:
    """Returns a path quoted for Hydra, which would read a comma as a sweep."""
    escaped = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
