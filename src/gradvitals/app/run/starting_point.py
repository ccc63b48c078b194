"""Where a run starts: from its own draw, from the weights of another run, or from a checkpoint."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from lightning import LightningModule

from gradvitals.app.config.run_config import RunConfig
from gradvitals.checkpoints.compare import check_resumable, load_weights
from gradvitals.checkpoints.locate import locate
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.loops.resumable import logged_steps

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StartingPoint:
    """Where a run starts.

    Attributes:
        first_step: the first step that is logged, where an earlier part of the run logged some; None: none was.
        weights: the file whose weights the model was given; None: it keeps its own.
    """

    first_step: int | None = None
    weights: Path | None = None


def starting_point(config: RunConfig, model: LightningModule) -> StartingPoint:
    """Gives a model the weights that it starts from, or checks the checkpoint that the Trainer will load.

    Raises:
        FileNotFoundError, ValueError: no such file, or one of another network.
    """
    weights, ckpt_path, resume = config["weights"], config["ckpt_path"], config["resume"]
    file = start_from(weights, config["paths"]["logs"], model) if weights and not ckpt_path else None
    if not ckpt_path:
        return StartingPoint(0 if resume else None, file)
    verify = is_first_process() and not resume  # resume= has verified the checkpoint that it chose
    checkpoint = check_resumable(model, Path(ckpt_path), config["train"], verify)
    return StartingPoint(logged_steps(checkpoint))


def start_from(weights: str, logs: str, model: LightningModule) -> Path:
    """Gives a model the weights that the key ``weights`` names, and returns their file."""
    file = locate(weights, logs)
    load_weights(model, file)
    if is_first_process():
        log.info(f"weights      {file}")
    return file
