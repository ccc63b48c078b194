"""One training under the monitor with its defaults, as a row of numbers."""

from __future__ import annotations

import importlib
import logging
import math
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from case import Case, Training
from lightning import Callback, LightningModule, Trainer, seed_everything
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import GradientVitals

Row = dict[str, Any]
SEED = 1


def all_cases() -> list[Case]:
    """Those of every file in ``cases``, in order of the files' names."""
    files = sorted(file.stem for file in (Path(__file__).parent / "cases").glob("*.py") if file.stem != "__init__")
    cases = [case for file in files for case in importlib.import_module(f"cases.{file}").CASES]
    names = [case.name for case in cases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Names of cases must differ, and these occur twice: {', '.join(sorted(twice))}")
    return cases


class Listener(Callback):
    """Keeps each verdict that is said during the fit, with its step."""

    def __init__(self, monitor: GradientVitals) -> None:
        self._monitor = monitor
        self.said: list[tuple[int, str]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        verdict = self._monitor.diagnosis.verdict
        if not self.said or self.said[-1][1] != verdict:
            self.said.append((trainer.global_step, verdict))


def outcome(score: float, trivial: float, good: float) -> str:
    """``learns``, ``partly`` or ``fails``: less than half of the way from trivial to good, or NaN.

    Example:
        >>> outcome(0.95, 0.1, 0.9), outcome(0.6, 0.1, 0.9), outcome(0.3, 0.1, 0.9), outcome(math.nan, 0.1, 0.9)
        ('learns', 'partly', 'fails', 'fails')
    """
    if score >= good:
        return "learns"
    return "partly" if score >= (trivial + good) / 2 else "fails"


def _validation(training: Training) -> DataLoader | None:
    return DataLoader(TensorDataset(*training.held), 256) if training.held is not None else None


def fit(training: Training, monitor: GradientVitals) -> tuple[Listener, Trainer, str]:
    """Fits, and returns what was said meanwhile and what broke the fit, if anything."""
    listener = Listener(monitor)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "devices": 1}
    quiet |= {"num_sanity_val_steps": 0}
    length = {"max_steps": training.steps, "max_epochs": -1}
    trainer = Trainer(callbacks=[monitor, listener], **(quiet | length | training.trainer))
    try:
        trainer.fit(training.module, training.loader, _validation(training))
    except Exception as error:  # is what the benchmark reports
        return listener, trainer, f"{type(error).__name__}: {error}"
    return listener, trainer, ""


def _made(name: str) -> tuple[Case, Training]:
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    case = next(case for case in all_cases() if case.name == name)
    seed_everything(SEED, verbose=False)
    training = case.build()
    seed_everything(SEED, verbose=False)
    return case, training


def train(name: str) -> Row:
    """Trains a case, and returns its outcome beside the verdict."""
    case, training = _made(name)
    monitor = GradientVitals()
    began = time.perf_counter()
    listener, trainer, crash = fit(training, monitor)
    seconds = time.perf_counter() - began
    training.module.eval()
    score = float(training.score(training.module))
    diagnosis = monitor.diagnosis
    step = diagnosis.step
    if step is None:
        step = next((step for step, verdict in listener.said if verdict == diagnosis.verdict), trainer.global_step)
    return {
        "kind": case.kind,
        "fault": case.fault,
        "helps": case.helps,
        "score": score if math.isfinite(score) else None,
        "trivial": training.trivial,
        "good": training.good,
        "outcome": outcome(score, training.trivial, training.good),
        "verdict": diagnosis.verdict,
        "said": listener.said,
        "step": step,
        "evidence": str(diagnosis),
        "steps": training.steps,
        "ran": trainer.global_step,
        "seconds": round(seconds, 2),
        "crash": crash,
    }


def train_with_auto_stop(name: str) -> Row:
    """Trains a case with ``auto_stop``, and returns whether that ended it."""
    _, training = _made(name)
    monitor = GradientVitals(auto_stop=True)
    _, trainer, _ = fit(training, monitor)
    return {"ended": monitor.stopped_it, "ran": trainer.global_step, "evidence": str(monitor.diagnosis)}
