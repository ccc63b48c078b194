"""The Hydra callback that refuses a run before its directory is made."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from gradvitals.app.check import check
from gradvitals.app.errors import Refused


class Guard(Callback):
    """Checks a single run's config. Hydra lets only SystemExit through; a sweep's jobs check themselves."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            check(plain(config), typed_keys(config.hydra.overrides.task))
            run_dir = Path(config.hydra.run.dir)
            resumed = config.ckpt_path is not None and Path(config.ckpt_path).is_relative_to(run_dir)
            occupied = any((run_dir / name).exists() for name in ("result.json", ".hydra"))
            if is_first_process() and occupied and not resumed:
                way_out = f"Continue it by resume={run_dir}, or choose another hydra.run.dir"
                raise Refused(f"{run_dir} already holds a run. {way_out}")
        except ValueError as error:
            leave(str(error))


def plain(config: DictConfig) -> dict[str, Any]:
    """The job's part of a config as plain values; a part that is known only inside the job stays unresolved."""
    found: dict[str, Any] = {}
    for key in (str(key) for key in config if key != "hydra"):
        try:
            value = config[key]
            found[key] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        except InterpolationResolutionError:
            unresolved = OmegaConf.to_container(config, resolve=False)
            found[key] = unresolved[key]  # type: ignore[index,call-overload]
    return found


def typed_keys(overrides: list[str]) -> list[str]:
    """The keys of typed overrides, without signs of addition."""
    return [override.lstrip("+").partition("=")[0] for override in overrides]


def is_first_process() -> bool:
    """False in the other processes of a distributed run, which the first one starts in its directory."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def leave(message: str) -> NoReturn:
    """Say why on stderr and exit with 1."""
    print(f"gradvitals: {message}", file=sys.stderr)
    raise SystemExit(1)
