"""Finds the checkpoint that a run starts from, before anything heavy is imported."""

from __future__ import annotations

import logging
from pathlib import Path

from gradvitals.app.config.run_config import RunConfig
from gradvitals.checkpoints.locate import BEST, locate, locate_state
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.formatting import in_shell

log = logging.getLogger(__name__)


def with_checkpoint_file(config: RunConfig) -> RunConfig:
    """Returns a config whose ``weights`` or ``ckpt_path`` is a file, and logs which one of a run was taken.

    Where both are given, ``ckpt_path`` counts.

    Raises:
        ConfigError, FileNotFoundError: see :mod:`gradvitals.checkpoints.locate`.
    """
    key = "ckpt_path" if config["ckpt_path"] else "weights"
    source = config[key]
    if not source:
        return config
    file = (locate_state if key == "ckpt_path" else locate)(source, config["paths"]["logs"])
    of_a_run = not Path(source).is_file()
    if is_first_process() and (of_a_run or key == "weights"):
        fallback = of_a_run and key == "weights" and not file.match(BEST)
        log.info(f"{key:<12} {in_shell(file)}{': the run has no best checkpoint' if fallback else ''}")
    return config | {key: str(file)}
