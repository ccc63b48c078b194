"""Trains a config in this process or in a worker process, and returns numbers instead of files.

Torch and Lightning are imported when a trial runs: reading the results of one does not need them.
"""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gradvitals.app.config.compose import compose_run_config
from gradvitals.app.config.error_messages import explain
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.environment import prepare
from gradvitals.diagnosis.outcome import HEALTHY, UNDECIDED
from gradvitals.errors import TERMINATED
from gradvitals.results.objective import Objective
from gradvitals.results.result import Result

if TYPE_CHECKING:
    from gradvitals.app.cure.trial_recorder import TrialRecorder
    from gradvitals.app.run.assemble import Run


@dataclass(frozen=True)
class Trial:
    """The results of one training, as plain values. ``str`` describes them in one line.

    Attributes:
        status: ``completed`` (its budget or its full length), ``stopped`` by a verdict, ``diverged`` or ``failed``.
        verdict, severity, verdict_step, evidence, advice: the monitor's diagnosis; None or empty without a monitor.
        steps_planned: of a full training; None: unknown.
        metrics: tag -> ``{"final": ..., "best": ...}``.
        objective: the metric by which the trial is judged; None: it was not logged.
        score: the objective's best value, higher is better (see :meth:`Objective.score`); -inf without a value.
        train_progress: 1 - loss / chance, for the mean of the last training losses, where chance is the loss of the
            best constant output; nan: unknown.
        val_progress: the same of the validation loss.
        profiles: step -> L2 norms of dL/dh by layer, input side first.
        curves: validation tag -> values as (step, value).
        decided: the groups that the user's own network decides itself, so that no remedy changes them.
    """

    overrides: tuple[str, ...]
    status: str
    verdict: str | None = None
    severity: float | None = None
    verdict_step: int | None = None
    evidence: str = ""
    advice: str = ""
    steps_planned: int | None = None
    steps: int = 0
    seconds: float = 0.0
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    objective: Objective | None = None
    score: float = -math.inf
    train_progress: float = math.nan
    val_progress: float = math.nan
    profiles: dict[int, list[float | None]] = field(default_factory=dict)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    reason: str | None = None
    decided: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.status == "failed":
            return f"failed ({self.reason})"
        ended = str(self.verdict) if self.status == "completed" else f"{self.verdict}, {self.status}"
        parts = [ended, self.best_text, self._progress_text, self.length_text]
        return ", ".join(part for part in parts if part)

    @property
    def is_healthy(self) -> bool:
        return self.verdict == HEALTHY and self.status == "completed"

    @property
    def is_promising(self) -> bool:
        """Whether nothing speaks against it: a short trial may be too short for a verdict."""
        return self.verdict in (HEALTHY, UNDECIDED) and self.status == "completed"

    @property
    def progress(self) -> float:
        """The larger of training and validation progress: running statistics hold either back early; -inf: unknown."""
        shares = (self.train_progress, self.val_progress)
        return max((share for share in shares if math.isfinite(share)), default=-math.inf)

    @property
    def best(self) -> float | None:
        return self.metrics.get(str(self.objective), {}).get("best")

    @property
    def best_text(self) -> str:
        return f"best {self.objective} {self.best:.3g}" if self.best is not None else "no metric"

    @property
    def length_text(self) -> str:
        return f"{self.steps} steps, {self.seconds:.1f} s"

    @property
    def _progress_text(self) -> str:
        if not math.isfinite(self.progress):
            return ""
        percent = f"{100 * abs(self.progress):.0f} %"
        return f"the loss up by {percent}" if self.progress < 0 else f"{percent} of the loss gone"


def run_trial(
    overrides: Sequence[str], *, max_steps: int | None = None, threads: int | None = None, conf: Path | None = None
) -> Trial:
    """Trains as ``python src/train.py OVERRIDES`` would, with the monitor but without loggers and other callbacks.

    The monitor stops a hopeless training. An error becomes the trial's ``reason``. Safe in a worker process.

    Args:
        max_steps: ends a full training early, so its schedules are those of the full length; None: the full length.
        threads: of torch; None: as the config says.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        SystemExit: 143, SIGTERM.

    Example:
        >>> trial = run_trial(["data=blobs", "trainer.max_epochs=1"], max_steps=5)
        >>> trial.status, trial.steps, trial.steps_planned
        ('completed', 5, 22)
    """
    with silence(), tempfile.TemporaryDirectory() as folder:
        try:
            settings = bare(compose_run_config(overrides, Path(folder), conf), threads)
            return _train(settings, tuple(overrides), max_steps)
        except Exception as error:
            return Trial(tuple(overrides), "failed", reason=explain(error))


def bare(settings: RunConfig, threads: int | None = None) -> RunConfig:
    """Returns a config that writes and displays nothing, and whose monitor stops a hopeless training."""
    monitor = settings["monitor"]
    auto_stop = {"auto_stop": True} if "auto_stop" in monitor else {}
    changes = {"callbacks": {}, "logger": {}, "monitor": monitor | auto_stop}
    changes["trainer"] = settings["trainer"] | {"min_epochs": None}  # which would delay the stop
    return settings | changes | ({"threads": threads} if threads else {})


def _train(settings: RunConfig, overrides: tuple[str, ...], max_steps: int | None) -> Trial:
    settings = prepare(settings)
    from gradvitals.app.cure.trial_recorder import TrialRecorder
    from gradvitals.app.run.assemble import assemble

    run, recorder = assemble(settings), TrialRecorder(max_steps)
    run.trainer.callbacks.append(recorder)  # type: ignore[attr-defined]
    reason = None
    try:
        with signals_of_the_caller():
            run.trainer.fit(run.model, datamodule=run.data)
        if getattr(run.trainer, "received_sigterm", False):
            raise SystemExit(TERMINATED)
        _validate_last(run, recorder)
    except Exception as error:
        reason = explain(error)
    return _result(run, recorder, settings, overrides, reason)


@contextlib.contextmanager
def signals_of_the_caller() -> Iterator[None]:
    """Raises KeyboardInterrupt on Ctrl-C, where Lightning's loop would exit the process, and restores the handler."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        with contextlib.suppress(ValueError):  # outside the main thread, where Lightning sets no handler
            signal.signal(signal.SIGINT, handler)


def _validate_last(run: Run, recorder: TrialRecorder) -> None:
    """Validates the final weights unless the fit did, as some configs validate only every few epochs."""
    from lightning.pytorch.utilities.model_helpers import is_overridden

    known = any(points[-1][0] == run.trainer.global_step for points in recorder.curves.values())
    if not known and is_overridden("validation_step", run.model) and is_overridden("val_dataloader", run.data):
        run.trainer.validate(run.model, datamodule=run.data, verbose=False)


def _result(
    run: Run, recorder: TrialRecorder, settings: RunConfig, overrides: tuple[str, ...], reason: str | None
) -> Trial:
    metrics, monitor = run.history.metrics, run.monitor
    found = monitor.diagnosis if monitor else None
    chance = monitor.settings.chance if monitor else None
    status = _status(run, reason)
    objective = Objective.resolve(metrics, settings["objective"], settings["objective_mode"])
    value = Result.from_json({"metrics": metrics, "status": status}).value_of(objective) if objective else None
    return Trial(
        overrides,
        status,
        verdict=found.verdict if found else None,
        severity=found.severity if found else None,
        verdict_step=found.step if found else None,
        evidence=str(found) if found else "",
        advice=found.advice if found else "",
        steps_planned=recorder.steps_planned,
        steps=run.trainer.global_step,
        seconds=run.history.seconds,
        metrics=metrics,
        objective=objective,
        score=-math.inf if objective is None or value is None else objective.score(value),
        train_progress=_progress(recorder.mean_loss, chance),
        val_progress=_progress(metrics.get("val/loss", {}).get("final"), chance),
        profiles=monitor.profiles if monitor else {},
        curves=recorder.curves,
        reason=reason,
        decided=run.decided,
    )


def _status(run: Run, reason: str | None) -> str:
    """As a run's, except that only a verdict makes a trial ``stopped``: its budget or early stopping completes it."""
    from gradvitals.app.run import run_result as outcome

    status = "failed" if reason else outcome.status(run)
    by_verdict = run.monitor is not None and run.monitor.stopped_it
    return "completed" if status == "stopped" and not by_verdict else status


def _progress(loss: float | None, chance: float | None) -> float:
    return 1 - loss / chance if loss is not None and chance else math.nan


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Suppresses warnings and log messages up to that level."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(level)
