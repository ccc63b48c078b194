"""A Trainer with nothing about it but what a test asks for."""

from typing import Any

from lightning import Callback, Trainer


def bare_trainer(*callbacks: Callback, **options: Any) -> Trainer:
    """On the processor, without logger, checkpoints, bar and summary."""
    return Trainer(
        **{"accelerator": "cpu", "logger": False} | options,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
