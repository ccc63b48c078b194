"""A config that was composed, resolved and validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.overrides import Overrides
from gradvitals.app.config.validate import check
from gradvitals.distributed.cluster_environment import ClusterEnvironment
from gradvitals.errors import ConfigError


@dataclass(frozen=True)
class RunConfig:
    """What one run is: the values of the config, and how they were chosen.

    Attributes:
        values: plain values, with interpolations resolved; ``config["data"]`` is a group of them.
        overrides: what was typed, or what the sweep chose.
        choices: group -> option.
        in_sweep: whether the run is a job of a multirun.

    Example:
        >>> config = RunConfig({"seed": 0, "train": True}) | {"seed": 1}
        >>> config["seed"], config["train"]
        (1, True)
    """

    values: Mapping[str, Any]
    overrides: Overrides = field(default_factory=Overrides)
    choices: Mapping[str, str] = field(default_factory=dict)
    in_sweep: bool = False

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def __or__(self, values: Mapping[str, Any]) -> RunConfig:
        return replace(self, values={**self.values, **values})

    @classmethod
    def resolve(cls, config: DictConfig, hydra: DictConfig) -> RunConfig:
        """Returns a composed config as plain values, not validated.

        Args:
            hydra: its part ``hydra``, which a job's config no longer contains.

        Raises:
            ConfigError: a value that refers to itself; processes that do not fit what was typed.
            omegaconf.errors.OmegaConfBaseException: a value that is missing, or that cannot be resolved.
        """
        values, overrides = _plain(config), Overrides(hydra.overrides.task)
        if (launcher := ClusterEnvironment.at_work()) and isinstance(values.get("trainer"), dict):
            values["trainer"] = launcher.place(values["trainer"], list(overrides.typed_keys))
        return cls(values, overrides, choices_of(hydra), hydra.mode == RunMode.MULTIRUN)

    def validate(self) -> RunConfig:
        check(self.values, self.overrides.typed_keys)
        return self


def choices_of(hydra: DictConfig) -> dict[str, str]:
    """Returns the option that was chosen of each group of ours."""
    return {group: option for group, option in hydra.runtime.choices.items() if "/" not in group}


def _plain(config: DictConfig) -> dict[str, Any]:
    values = {}
    for key in (str(key) for key in config if key != "hydra"):
        try:
            value = config[key]
            is_nested = OmegaConf.is_config(value)
            values[key] = OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if is_nested else value
        except RecursionError:
            raise ConfigError(
                f"{key}: expected a value; got one that refers to itself. Set it by {key}=VALUE"
            ) from None
    return values
