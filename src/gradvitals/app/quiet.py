"""What Lightning and torch say at every run and no user can act on."""

from __future__ import annotations

import logging
import os
import warnings

# Each with its reason.
UPSTREAM_WARNINGS = (
    # lightning 2.6.6 calls a check that torch 2.14 deprecates; ours to wait for.
    r".*isinstance\(treespec, LeafSpec\).*",
    # Data in memory is fetched fastest without workers (data.num_workers=0).
    r".*does not have many workers.*",
    # Small data sets have fewer batches than log_every_n_steps; an epoch then adds no point to train/loss.
    r".*smaller than the logging interval.*",
    # A resumed run continues in its own directory on purpose.
    r".*Checkpoint directory .* exists and is not empty.*",
    # A picture's font has no sign for what was typed.
    r".*Glyph .* missing from .*font.*",
    # ckpt_path=FILE of another run: this one keeps its own checkpoints.
    r".*The dirpath has changed from .*",
    # A fit that ends before its first validation has no best weights yet; a metric that is never logged is refused.
    r".*could not find the monitored key in the returned metrics.*",
    # The run directory is new; the CSV logger means the directory itself.
    r".*Experiment logs directory .* exists and is not empty.*",
    # trainer=cpu on a machine with a GPU is a choice.
    r".*GPU available but not used.*",
)
CHATTY = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.distributed",
    "lightning.fabric.utilities.seed",
    "lightning.pytorch.accelerators.cuda",
    "lightning.pytorch.trainer.connectors.signal_connector",
)

NO_TELEMETRY = {  # what optional packages ask of the environment, to keep what they see to themselves
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
}


def keep_to_itself() -> None:
    """Nothing phones home, unless the user's own environment says so; call before anything else is imported."""
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)


def quiet() -> None:
    """Silence advertisements, hardware listings and the warnings above; call after Lightning was imported."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern in UPSTREAM_WARNINGS:
        warnings.filterwarnings("ignore", message=pattern)
