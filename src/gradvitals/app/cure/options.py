"""The options of the cure, checked before it starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from gradvitals.app.config.constraints import Constraint, either, integer, number, one_of, optional
from gradvitals.app.config.pre_run_check import PreRunCheck
from gradvitals.app.config.run_config import RunConfig
from gradvitals.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9_-]+")

RULES = {
    "share": number(above=0, high=1),
    "least_steps": integer(1),
    "enough": optional(number(0, 1)),
    "confirmations": integer(1),
    "workers": either(integer(1), one_of("auto")),
    "name": optional(Constraint("letters, digits, - and _", lambda v: isinstance(v, str) and bool(NAME.fullmatch(v)))),
}
WITHOUT_EFFECT = ("resume", "ckpt_path", "train", "weights", "look")


@dataclass(frozen=True)
class CureOptions:
    """The keys of ``cure``; ``conf/cure.yaml`` says what each means."""

    share: float
    least_steps: int
    enough: float | None
    confirmations: int
    workers: int | str
    name: str | None = None

    @classmethod
    def checked(cls, config: RunConfig) -> CureOptions:
        """Returns the options of a config.

        Raises:
            ConfigError: a value out of range, or a typed key that has no effect on a cure.
        """
        options: Mapping[str, Any] = config["cure"]
        for key, rule in RULES.items():
            if not rule.accepts(options[key]):
                raise ConfigError(f"cure.{key}: expected {rule.expected}; got {options[key]!r}")
        keys = [*config.overrides.typed_keys, *(["look"] if config["look"] else [])]  # which debug=table sets
        if idle := [key for key in keys if key in WITHOUT_EFFECT]:
            raise ConfigError(f"{idle[0]}: has no part in a cure, which trains from scratch; leave it out")
        return cls(**{key: options[key] for key in RULES})


class CurePreRunCheck(PreRunCheck):
    """Checks ``cure.*`` too before a run directory is made."""

    def checked(self, config: DictConfig) -> RunConfig:
        found = super().checked(config)
        CureOptions.checked(found)
        return found
