"""Composes the config of ``train.py`` inside a process, as a command line would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.conf_folder import conf_folder, conf_folders, config_file
from gradvitals.app.config.overrides import Overrides, quoted
from gradvitals.app.config.run_config import RunConfig, choices_of
from gradvitals.app.config.run_directory import register_names

# Groups whose files set values of the other groups, in turn.
FLATTENED = ("project", "experiment", "local", "debug", "sweep")
SILENT = ("local", "project")  # of these the file ``default.yaml`` counts wherever it exists


@dataclass(frozen=True)
class Composed:
    """A config of ``train.py``: ``config`` is what a job is given, ``hydra`` is the part of Hydra itself."""

    config: DictConfig
    hydra: DictConfig

    @property
    def choices(self) -> dict[str, str]:
        return choices_of(self.hydra)

    def plain(self) -> dict[str, Any]:
        return OmegaConf.to_container(self.config, resolve=False)  # type: ignore[return-value]


def compose(overrides: Sequence[str], conf: Path | None = None) -> Composed:
    """Returns what ``python src/train.py OVERRIDES`` composes, without running it.

    Args:
        overrides: as they are typed.
        conf: the folder ``conf`` of a project; None: of the one that the command is for.

    Raises:
        hydra.errors.HydraException: an override that does not fit; see
            :func:`gradvitals.app.config.error_messages.explain`.

    Example:
        >>> compose(["act=elu"]).config.act.alpha
        1.0
    """
    register_names()
    with _running_job_set_aside(), initialize_config_dir(str(conf or conf_folder()), version_base="1.3"):
        config = hydra.compose("train", list(overrides), return_hydra_config=True)
    OmegaConf.set_struct(config, False)
    return Composed(config, config.pop("hydra"))


def compose_run_config(overrides: Sequence[str], run_dir: Path, conf: Path | None = None) -> RunConfig:
    """Returns the validated config of the run that ``python src/train.py OVERRIDES`` trains."""
    composed = compose([*overrides, f"paths.run={quoted(run_dir)}"], conf)
    config = RunConfig.resolve(composed.config, composed.hydra)
    return replace(config, overrides=Overrides(overrides)).validate()


@contextmanager
def _running_job_set_aside() -> Iterator[None]:
    """The Hydra of a job that is running allows no second one."""
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = running


@cache
def usual_choices(conf: Path) -> dict[str, str]:
    """Returns group -> option of the defaults list of ``train.yaml``."""
    listed = OmegaConf.load(config_file("train", conf)).defaults  # type: ignore[arg-type]
    pairs = [pair for item in listed if not isinstance(item, str) for pair in item.items()]
    return {str(key).removeprefix("optional "): option for key, option in pairs}


@cache
def options_of_groups(conf: Path) -> dict[str, list[str]]:
    """Returns group -> its options, of all groups but ``local`` and ``project``, whose files nobody types."""
    groups = (*usual_choices(conf), "hydra/launcher", "hydra/sweeper")
    names = {
        group: sorted({file.stem for folder in conf_folders(conf) for file in (folder / group).glob("*.yaml")})
        for group in groups
    }
    return {group: options for group, options in names.items() if options and group not in SILENT}
