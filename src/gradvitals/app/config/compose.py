"""The config of ``train.py`` composed inside a process, and written down as an experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.overrides import quoted, slug, typed_keys
from gradvitals.app.config.validate import check

CONF = Path(__file__).parents[4] / "conf"
FLATTENED = ("experiment", "debug", "sweep")  # groups of values for all the others; written as those values


@dataclass(frozen=True)
class Composed:
    """A config of ``train.py``, and the option of each group."""

    config: DictConfig
    choices: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """Its values, interpolations left as they are."""
        return OmegaConf.to_container(self.config, resolve=False)  # type: ignore[return-value]


def compose(overrides: Sequence[str], conf: Path = CONF) -> Composed:
    """What ``python src/train.py OVERRIDES`` would compose, without running it.

    Raises:
        hydra.errors.HydraException: an override that does not fit; see
            :func:`gradvitals.app.config.error_messages.explain`.

    Example:
        >>> compose(["act=elu"]).config.act.alpha
        1.0
    """
    OmegaConf.register_new_resolver("gradvitals.slug", slug, replace=True)
    with _aside(), initialize_config_dir(str(conf), version_base="1.3"):
        config = hydra.compose("train", list(overrides), return_hydra_config=True)
    choices = {group: option for group, option in config.hydra.runtime.choices.items() if "/" not in group}
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    return Composed(config, choices)


@contextmanager
def _aside() -> Iterator[None]:
    """Put the Hydra of a job that is running aside, which allows no second one."""
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = running


def settings_of(overrides: Sequence[str], run_dir: Path, conf: Path = CONF) -> dict[str, Any]:
    """The same as plain values, checked as a run's are, with ``overrides``, ``typed`` and ``choices`` beside them.

    Raises:
        hydra.errors.HydraException: see :func:`compose`.
        gradvitals.errors.ConfigError: see :func:`gradvitals.app.config.validate.check`.
    """
    composed = compose([*overrides, f"paths.run={quoted(run_dir)}"], conf)
    settings: dict[str, Any] = OmegaConf.to_container(composed.config, resolve=True)  # type: ignore[assignment]
    settings |= {"overrides": list(overrides), "typed": typed_keys(list(overrides)), "choices": composed.choices}
    check(settings, settings["typed"])
    return settings


@cache
def usual_choices(conf: Path) -> dict[str, str]:
    """Returns the options of ``train.yaml``'s defaults list."""
    listed = OmegaConf.load(conf / "train.yaml").defaults
    return {str(key): option for item in listed if not isinstance(item, str) for key, option in item.items()}
