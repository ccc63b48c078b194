"""Admits only known classes to what Hydra itself builds: callbacks, launcher, sweeper and logging.

Hydra calls these targets before any callback of ours runs, whether they were typed or come from an experiment's file.
So the config is checked as soon as Hydra's loader has composed it. Other classes are admitted by the user's environment
variable ``GRADVITALS_ALLOW`` and ``pyproject.toml`` alone; see :mod:`gradvitals.build`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.experimental.callback import Callback
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

from gradvitals.build import resolve
from gradvitals.errors import ConfigError

LOGS = (
    "logging.Formatter",
    "logging.StreamHandler",
    "logging.FileHandler",
    "logging.NullHandler",
    "logging.handlers.RotatingFileHandler",
    "logging.handlers.TimedRotatingFileHandler",
    "colorlog.ColoredFormatter",
)
KNOWN = {  # key of `hydra` -> the classes that may be built there
    "callbacks": (
        "gradvitals.app.config.pre_run_check.PreRunCheck",
        "gradvitals.app.cure.options.CurePreRunCheck",
        "hydra.experimental.callbacks.LogJobReturnCallback",
        "hydra.experimental.callbacks.PickleJobInfoCallback",
    ),
    "launcher": (
        "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
        "hydra_plugins.gradvitals_launchers.Fork",
        "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
        "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
    ),
    "sweeper": (
        "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
        "hydra_plugins.gradvitals_sweepers.Grid",
        "hydra_plugins.gradvitals_sweepers.Search",
    ),
    "job_logging": LOGS,
    "hydra_logging": LOGS,
}
KINDS = {"callbacks": Callback, "launcher": Launcher, "sweeper": Sweeper}
CALLED = ("_target_", "()", "class", "queue", "listener")  # keys whose value Hydra or logging resolves and calls
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
PLUGINS = {"hydra_ray_launcher": "ray", "hydra_submitit_launcher": "submitit"}  # package -> extra


@contextmanager
def checked_targets() -> Iterator[None]:
    """Inside, every config that Hydra composes is checked before Hydra acts on it."""
    compose = ConfigLoaderImpl.load_configuration

    def composed(*args: Any, **kwargs: Any) -> DictConfig:
        with warnings.catch_warnings():
            # conf/hydra/launcher: each file is held to the keys of its plugin on purpose
            warnings.filterwarnings("ignore", r"\n'hydra/launcher/\w+' is validated against ConfigStore schema")
            config = compose(*args, **kwargs)
        check_hydra(config.hydra)
        return config

    with patch.object(ConfigLoaderImpl, "load_configuration", composed):
        yield


def check_hydra(config: DictConfig) -> None:
    """Refuses classes that are neither known nor admitted, and variables of the environment.

    Raises:
        ConfigError: it names the key and what came.

    Example:
        >>> check_hydra(DictConfig({"launcher": {"_target_": "os.system"}}))
        Traceback (most recent call last):
        ...
        gradvitals.errors.ConfigError: hydra.launcher._target_=os.system: package 'os' is not admitted. If it is yours, set GRADVITALS_ALLOW=os, or once for all commands allow = ["os"] under [tool.gradvitals] in pyproject.toml
    """  # noqa: E501
    for slot in KNOWN:
        for key, last, value in _leaves(f"hydra.{slot}", slot, config.get(slot)):
            if last in CALLED:
                _check_target(slot, key, value)
            elif "ext://" in value and value not in STREAMS:
                raise ConfigError(f"{key}: expected {' or '.join(STREAMS)}; got {value}")
            elif "${" in value and last != "filename":
                raise ConfigError(f"{key}: expected a value that is known before the job; got {value}")
    if variables := (config.get("job") or {}).get("env_set"):
        why = "the environment admits code, so no config sets it"
        raise ConfigError(f"hydra.job.env_set: {why}; got {next(iter(variables))}. Set it in the shell")


def _leaves(name: str, last: str, node: Any) -> Iterator[tuple[str, str, str]]:
    """Full name, last key and text of each plain value below a node; interpolations that only a job resolves stay."""
    if not OmegaConf.is_config(node):
        if node is not None:
            yield name, last, str(node)
        return
    for key in node if isinstance(node, DictConfig) else range(len(node)):
        try:
            value = node[key]
        except (InterpolationResolutionError, MissingMandatoryValue):
            value = node._get_node(key)._value()
        yield from _leaves(f"{name}.{key!s}", str(key), value)


def _check_target(slot: str, key: str, value: str) -> None:
    if value in KNOWN[slot]:
        _need_plugin(value)
        return
    try:
        resolve(value, KINDS.get(slot, object), frozenset())
    except ValueError as error:
        raise ConfigError(str(error).replace("_target_", key, 1)) from None


def _need_plugin(path: str) -> None:
    package = next((name for name in PLUGINS if path.startswith(f"hydra_plugins.{name}.")), None)
    if package and find_spec(f"hydra_plugins.{package}") is None:
        name, extra = package.replace("_", "-"), PLUGINS[package]
        raise ConfigError(f'hydra/launcher needs a package: {name}. Install it by pip install "gradvitals[{extra}]"')
