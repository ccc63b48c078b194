"""A Trainer with nothing about it but what a test asks for."""

from typing import Any

from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar


def bare_trainer(*callbacks: Callback, **options: Any) -> Trainer:
    """On the processor, without logger, checkpoints, summary, and without a bar that is not among the callbacks."""
    return Trainer(
        **{"accelerator": "cpu", "logger": False} | options,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        enable_model_summary=False,
    )
