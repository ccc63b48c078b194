"""Where a Hugging Face Trainer reports to, as far as the monitor can write there, too."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from transformers import TrainerState, TrainingArguments


def reporters(args: TrainingArguments, state: TrainerState) -> dict[str, Any]:
    """Returns ``log_dir`` and ``logger`` of what ``report_to`` names; nothing in processes other than the first.

    Call it when the Trainer's own callbacks have begun, which come before those of the user.

    Example:
        >>> arguments = TrainingArguments(output_dir="runs", report_to="none", use_cpu=True)
        >>> reporters(arguments, TrainerState())
        {'log_dir': None, 'logger': None}
    """
    names = (args.report_to or []) if state.is_world_process_zero else []
    run = getattr(sys.modules.get("wandb"), "run", None) if "wandb" in names else None
    mlflow = sys.modules.get("mlflow") if "mlflow" in names else None
    others = [one for one in (run, mlflow) if one is not None]
    return {"log_dir": _of_tensorboard(args) if "tensorboard" in names else None, "logger": others or None}


def _of_tensorboard(args: TrainingArguments) -> Path:
    """The folder of the event file that the Trainer has just opened."""
    known = os.environ.get("TENSORBOARD_LOGGING_DIR")
    runs = Path(known).expanduser() if known else Path(args.output_dir or ".", "runs")
    files = sorted(runs.rglob("events.out.tfevents.*"), key=lambda file: file.stat().st_mtime)
    return files[-1].parent if files else runs
