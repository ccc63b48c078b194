"""The Hydra callback that refuses a run before its directory is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from gradvitals.app.config.error_messages import explain, leave
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.config.run_directory import is_named_by_overrides, make_new
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import ConfigError
from gradvitals.formatting import in_shell


class PreRunCheck(Callback):
    """Validates the config of a single run. Hydra lets only SystemExit through; jobs of a sweep validate themselves.

    Attributes:
        passed: the config that passed, for the job that follows in this process.
    """

    passed: ClassVar[RunConfig | None] = None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            PreRunCheck.passed = self.checked(config)
            if is_first_process() and _claim_run_directory(config):
                PreRunCheck.passed = _resolved(config)
        except (ValueError, OSError, OmegaConfBaseException) as error:
            leave(explain(error))

    def checked(self, config: DictConfig) -> RunConfig:
        """Returns the config of the job, validated."""
        return _resolved(config).validate()


def _claim_run_directory(config: DictConfig) -> bool:
    """Makes the run directory, and returns whether it got another name because another run has that one.

    Raises:
        ConfigError: the user named a directory that contains a run.
    """
    run_dir = Path(config.hydra.run.dir)
    if is_named_by_overrides(config.hydra.run):
        config.hydra.run.dir = str(make_new(run_dir))
        return Path(config.hydra.run.dir) != run_dir
    resumed = config.resume is not None and Path(config.resume) == run_dir
    if any((run_dir / name).exists() for name in ("result.json", ".hydra")) and not resumed:
        raise ConfigError(
            f"hydra.run.dir: expected a directory without a run; {run_dir} already contains a run. "
            f"Continue it by resume={in_shell(run_dir)}, or choose another hydra.run.dir"
        )
    return False


def _resolved(config: DictConfig) -> RunConfig:
    """What the job will be given: Hydra sets the output directory and its own config only after this check."""
    hydra, before = config.hydra, HydraConfig.instance().cfg
    with read_write(hydra.runtime), open_dict(hydra.runtime):
        hydra.runtime.output_dir = str(Path(hydra.run.dir).absolute())
    HydraConfig.instance().set_config(config)
    try:
        return RunConfig.resolve(config, hydra)
    finally:
        HydraConfig.instance().cfg = before
        OmegaConf.set_readonly(hydra, None)  # which set_config made read-only
