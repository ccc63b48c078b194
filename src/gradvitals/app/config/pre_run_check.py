"""The Hydra callback that refuses a run before its directory is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, ListConfig
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from gradvitals.app.config.error_messages import explain, leave
from gradvitals.app.config.overrides import typed_keys
from gradvitals.app.config.validate import check
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import ConfigError


class PreRunCheck(Callback):
    """Checks a single run's config. Hydra lets only SystemExit through; a sweep's jobs check themselves."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            check(plain(config), typed_keys(config.hydra.overrides.task))
            run_dir = Path(config.hydra.run.dir)
            resumed = config.resume is not None and Path(config.resume) == run_dir
            occupied = any((run_dir / name).exists() for name in ("result.json", ".hydra"))
            if is_first_process() and occupied and not resumed:
                way_out = f"Continue it by resume={run_dir}, or choose another hydra.run.dir"
                raise ConfigError(f"{run_dir} already holds a run. {way_out}")
        except (ValueError, OSError, OmegaConfBaseException) as error:
            leave(explain(error))


def plain(config: DictConfig) -> dict[str, Any]:
    """The job's part of a config as plain values; what is known only inside the job stays an interpolation.

    Raises:
        Refused: a value that nothing stands behind.
    """
    return {str(key): _plain(config, key) for key in config if key != "hydra"}


def _plain(node: Any, key: Any) -> Any:
    try:
        value = node[key]
    except InterpolationResolutionError as error:
        if "HydraConfig was not set" not in str(error):
            raise
        return str(node._get_node(key)._value())
    except (MissingMandatoryValue, RecursionError):
        name = node._get_full_key(key)
        raise ConfigError(
            f"{name}: expected a value; got {node._get_node(key)._value()}. Set it by {name}=VALUE"
        ) from None
    if isinstance(value, DictConfig):
        return {str(inner): _plain(value, inner) for inner in value}
    return [_plain(value, place) for place in range(len(value))] if isinstance(value, ListConfig) else value
