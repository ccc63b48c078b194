"""The config of ``train.py`` composed inside a process, and written down as an experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.check import check
from gradvitals.app.guard import typed_keys
from gradvitals.app.names import quoted, slug

CONF = Path(__file__).parents[3] / "conf"
OF_THE_RUN = (
    "paths",
    "task_name",
    "resume",
    "resume_sweep",
    "join_sweep",
    "ckpt_path",
)  # where a run lies and how it began: no part of an experiment
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
        hydra.errors.HydraException: an override that does not fit; see :func:`gradvitals.app.errors.explain`.

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
        gradvitals.app.errors.Refused: see :func:`gradvitals.app.check.check`.
    """
    composed = compose([*overrides, f"paths.run={quoted(run_dir)}"], conf)
    settings: dict[str, Any] = OmegaConf.to_container(composed.config, resolve=True)  # type: ignore[assignment]
    settings |= {"overrides": list(overrides), "typed": typed_keys(list(overrides)), "choices": composed.choices}
    check(settings, settings["typed"])
    return settings


def experiment(overrides: Sequence[str], conf: Path = CONF) -> str:
    """The overrides as the content of an experiment's file: options that are not the default, then values.

    Values and options that come from another experiment are written out, so that the file stands on its own.

    Example:
        >>> print(experiment(["act=elu", "model.depth=12"]))
        defaults:
          - override /act: elu
        <BLANKLINE>
        model:
          depth: 12
        <BLANKLINE>
    """
    composed = compose(overrides, conf)
    usual = usual_choices(conf)
    chosen = {g: o for g, o in composed.choices.items() if g not in FLATTENED and o != usual.get(g)}
    base = compose([f"{group}={option}" for group, option in chosen.items()], conf)
    values = {key: v for key, v in difference(composed.plain(), base.plain()).items() if key not in OF_THE_RUN}
    lines = ["defaults:", *(f"  - override /{group}: {option}" for group, option in chosen.items()), ""]
    return "\n".join(lines if chosen else []) + ("\n" + OmegaConf.to_yaml(values) if values else "")


@cache
def usual_choices(conf: Path) -> dict[str, str]:
    """Returns the options of ``train.yaml``'s defaults list."""
    listed = OmegaConf.load(conf / "train.yaml").defaults
    return {str(key): option for item in listed if not isinstance(item, str) for key, option in item.items()}


def difference(config: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What must be merged over the base to get the config; null for what the base alone has.

    Example:
        >>> difference({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"x": 1, "y": 0}, "b": 3, "c": 4})
        {'a': {'y': 2}, 'c': None}
    """
    found: dict[str, Any] = {}
    for key in {**config, **base}:
        new, old = config.get(key), base.get(key)
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            if inner := difference(new, old):
                found[key] = inner
        elif new != old:
            found[key] = new
    return found
