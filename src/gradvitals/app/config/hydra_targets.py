"""What Hydra itself calls by name is held to the rule of :mod:`gradvitals.build`: only what fits its slot by type.

Hydra calls the targets of its own keys (callbacks, launcher, sweeper, logging) before any callback is asked, whether
they were typed or stand in an experiment's file. So its loader is made to look at a config as soon as it is composed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.experimental.callback import Callback
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, ListConfig
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

from gradvitals.build import resolve
from gradvitals.errors import ConfigError

TRUSTED = frozenset({"gradvitals", "hydra", "hydra_plugins", "logging", "colorlog"})
DEFAULT_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
PLUGINS = {"hydra_ray_launcher": "ray", "hydra_submitit_launcher": "submitit"}  # package -> extra
SLOTS = {"launcher": Launcher, "sweeper": Sweeper}
LOGS = ("job_logging", "hydra_logging")
LOGGING = {"formatters": logging.Formatter, "handlers": logging.Handler, "filters": logging.Filter}
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
CALLED = ("()", "class", "queue", "listener")  # keys whose value the logging package resolves and calls


@contextmanager
def checked_targets() -> Iterator[None]:
    """Every config that Hydra composes inside is checked before Hydra acts on it."""
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
    """Refuse what does not fit Hydra's slots.

    Args:
        config: the part ``hydra`` of a config.

    Raises:
        ValueError: a target that is no class of its slot's type; a logging factory; a variable set by a config.

    Example:
        >>> check_hydra(DictConfig({"launcher": {"_target_": "os.system"}}))
        Traceback (most recent call last):
        ...
        gradvitals.errors.ConfigError: hydra.launcher._target_=os.system: package 'os' is not admitted. If it is yours, set GRADVITALS_ALLOW=os
    """  # noqa: E501
    parts = {key: _plain(_value(config, key)) for key in (*SLOTS, *LOGS, "callbacks", "job") if config.get(key)}
    for name, spec in parts.get("callbacks", {}).items():
        _check_spec(f"hydra.callbacks.{name}", spec, Callback)
    for name, kind in SLOTS.items():
        _check_spec(f"hydra.{name}", parts.get(name, {}), kind)
    for name in LOGS:
        _check_logging(f"hydra.{name}", parts.get(name, {}))
    if variables := parts.get("job", {}).get("env_set"):
        why = "the environment admits code, so no config sets it"
        raise ConfigError(f"hydra.job.env_set: {why}; got {next(iter(variables))}. Set it in the shell")


def _plain(node: Any) -> Any:
    """Plain values, resolved; what only the job will know stays an interpolation."""
    if isinstance(node, DictConfig):
        return {str(key): _plain(_value(node, key)) for key in node}
    return [_plain(_value(node, i)) for i in range(len(node))] if isinstance(node, ListConfig) else node


def _value(node: Any, key: Any) -> Any:
    try:
        return node[key]
    except (InterpolationResolutionError, MissingMandatoryValue):
        return str(node._get_node(key)._value())


def _check_spec(key: str, spec: Mapping[str, Any] | None, kind: type) -> None:
    """A spec of a slot, and that none is inside it, which Hydra would build too."""
    arguments = dict(spec or {})
    path = arguments.pop("_target_", None)
    if path not in (None, DEFAULT_LAUNCHER):
        _resolve(f"{key}._target_", path, kind)
    for name, last, value in _leaves(key, arguments):
        if last == "_target_":
            raise ConfigError(f"{name}={value}: expected a plain value; nothing is built inside {key}")


def _check_logging(key: str, config: Mapping[str, Any]) -> None:
    """The classes of a logging config, and that nothing else of it is called, or imported."""
    for part, kind in LOGGING.items():
        for entry, spec in (config.get(part) or {}).items():
            for last in set(spec or {}) & {"()", "class"}:
                _resolve(f"{key}.{part}.{entry}.{last}", spec[last], kind)
    for name, last, value in _leaves(key, config):
        is_slot = last in ("()", "class") and name.removeprefix(key).count(".") == 3 and name.split(".")[2] in LOGGING
        if last in CALLED and not is_slot:
            raise ConfigError(f"{name}={value}: expected a plain value; nothing is called there")
        if "ext://" in value and value not in STREAMS:
            raise ConfigError(f"{name}={value}: expected {' or '.join(STREAMS)}")
        if "${" in value and last != "filename":
            raise ConfigError(f"{name}={value}: expected a value that is known before the job")


def _resolve(key: str, path: Any, kind: type) -> None:
    try:
        resolve(str(path), kind, TRUSTED)
    except ValueError as error:
        _need_plugin(str(path))
        raise ConfigError(str(error).replace("_target_", key, 1)) from None


def _need_plugin(path: str) -> None:
    """Refuse one of our launchers' configs where its package is not there."""
    package = next((name for name in PLUGINS if path.startswith(f"hydra_plugins.{name}.")), None)
    if package and find_spec(f"hydra_plugins.{package}") is None:
        name, extra = package.replace("_", "-"), PLUGINS[package]
        raise ConfigError(f'hydra/launcher needs a package: {name}. Install it by pip install ".[{extra}]"')


def _leaves(name: str, value: Any, last: str = "") -> Iterator[tuple[str, str, str]]:
    """Every plain value inside another: its dotted name, its own key, and itself as text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner, key)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(f"{name}[{place}]", inner)
    elif value is not None:
        yield name, last, str(value)
