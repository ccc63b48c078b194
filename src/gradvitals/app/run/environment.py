"""The environment of a run: imports, seed, warnings, telemetry."""

from __future__ import annotations

import logging
import os
import secrets
import warnings
from pathlib import Path

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.config.validate import SEED
from gradvitals.app.run.checkpoint_file import with_checkpoint_file
from gradvitals.app.run.lazy_imports import import_lightning

# Each with the reason why it is silenced.
UPSTREAM_WARNINGS = (
    # lightning 2.6.6 calls a check that torch 2.14 deprecates.
    r".*isinstance\(treespec, LeafSpec\).*",
    # Data in memory is fetched fastest without workers (data.num_workers=0).
    r".*does not have many workers.*",
    # Small data sets have fewer batches than log_every_n_steps; an epoch then adds no point to train/loss.
    r".*smaller than the logging interval.*",
    # A resumed run stays in its own directory on purpose.
    r".*Checkpoint directory .* exists and is not empty.*",
    # The font of a picture lacks a character that was typed.
    r".*Glyph .* missing from .*font.*",
    # ckpt_path=FILE of another run: this one keeps its own checkpoints.
    r".*The dirpath has changed from .*",
    # A fit that ends before its first validation has no best weights yet; a metric that is never logged is refused.
    r".*could not find the monitored key in the returned metrics.*",
    # The CSV logger writes into the run directory itself, which is new.
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
    "aim",
)
ALARMING = ("aim.sdk.lock_manager",)  # warns whenever a run is opened again for the test after its fit

NO_TELEMETRY = {  # variables that optional packages read
    "COMET_ERROR_TRACKING_ENABLE": "false",
    "COMET_START_ONLINE": "false",  # logger=comet writes an archive; logger.comet.online=true uploads
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
}


def disable_telemetry() -> None:
    """Turns the telemetry of all packages off, unless the user's environment says otherwise; call before any import."""
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)


def filter_warnings() -> None:
    """Silences advertisements, hardware listings and the warnings above; call after Lightning was imported."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ALARMING:
        logging.getLogger(name).setLevel(logging.ERROR)
    for pattern in UPSTREAM_WARNINGS:
        warnings.filterwarnings("ignore", message=pattern)


def prepare(config: RunConfig) -> RunConfig:
    """Finds the checkpoint that is named, imports torch and Lightning, and seeds every generator.

    Returns:
        The config with the checkpoint's file and the seed.
    """
    config = with_checkpoint_file(config)
    import_lightning()
    from lightning import seed_everything

    filter_warnings()
    seed = config["seed"]
    if seed is None:
        seed = _known_seed(config["ckpt_path"])
    if seed is None:
        seed = secrets.randbelow(2**32)
    seed_everything(seed, workers=True, verbose=False)
    return config | {"seed": seed}


def _known_seed(ckpt_path: str | None) -> int | None:
    """The seed that another process of the run drew, or this run before it was resumed."""
    if "LOCAL_RANK" in os.environ and (inherited := os.environ.get(SEED)):
        return int(inherited)
    if ckpt_path is None:
        return None
    from gradvitals.checkpoints.read import read_header
    from gradvitals.loops.resumable import seed_of

    return seed_of(read_header(Path(ckpt_path), "ckpt_path"))
