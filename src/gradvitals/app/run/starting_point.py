"""Where a run starts: from its own draw, from the weights of another run, or from a checkpoint."""

from __future__ import annotations

from pathlib import Path

from lightning import LightningModule

from gradvitals.app.config.run_config import RunConfig
from gradvitals.checkpoints.compare import check_resumable, load_weights
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.loops.resumable import logged_steps


def load_start(config: RunConfig, model: LightningModule) -> int | None:
    """Gives a model the weights that it starts from, or checks the checkpoint that the Trainer will load.

    Returns:
        The first step that is logged, where an earlier part of the run logged some; None: none was.

    Raises:
        FileNotFoundError, ValueError: no such file, or one of another network.
    """
    weights, ckpt_path, resume = config["weights"], config["ckpt_path"], config["resume"]
    if not ckpt_path:
        if weights:
            load_weights(model, Path(weights))
        return 0 if resume else None
    verify = is_first_process() and not resume  # resume= has verified the checkpoint that it chose
    return logged_steps(check_resumable(model, Path(ckpt_path), config["train"], verify))
