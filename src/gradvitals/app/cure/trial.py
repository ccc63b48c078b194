"""One training inside this process or a worker, that leaves numbers behind and no files.

Torch and lightning come in when a trial runs, so that whoever only reads results does not wait for them.
"""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import tempfile
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradvitals.app.config.compose import CONF, compose_run_config
from gradvitals.app.config.error_messages import explain
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.environment import prepare
from gradvitals.errors import TERMINATED
from gradvitals.results.objective import Objective
from gradvitals.results.result import Result

if TYPE_CHECKING:
    from gradvitals.app.run.assemble import Run

WINDOW = 30  # losses whose mean is the loss at the end: as many as a diagnosis averages


@dataclass(frozen=True)
class Trial:
    """What a training gave, as plain values.

    Attributes:
        overrides: what was typed, and what a remedy changed in it.
        status: ``completed`` (its budget or its full length), ``stopped`` by a verdict, ``diverged`` or ``failed``.
        verdict, severity, verdict_step, evidence: of the monitor; None without one.
        steps_planned: of a full training; None: not known.
        steps: that were done.
        seconds: of the fit.
        metrics: tag -> ``{"final": ..., "best": ...}``.
        objective: the metric that it is judged by; None where it logged none.
        score: its best value, the higher the better (see :meth:`Objective.score`); -inf where it has none.
        learnt: share of the loss of a constant output that is gone at the end, of the last losses; nan: not known.
        val_learnt: the same of the validation loss.
        profiles: step -> norms of dL/dh by layer, input side first.
        curves: tag -> validation's values as (step, value).
        reason: why it failed.
        decided: the groups that the network decides itself, so that no remedy changes them.
    """

    overrides: tuple[str, ...]
    status: str
    verdict: str | None = None
    severity: float | None = None
    verdict_step: int | None = None
    evidence: str = ""
    steps_planned: int | None = None
    steps: int = 0
    seconds: float = 0.0
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    objective: Objective | None = None
    score: float = -math.inf
    learnt: float = math.nan
    val_learnt: float = math.nan
    profiles: dict[int, list[float | None]] = field(default_factory=dict)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    reason: str | None = None
    decided: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        return self.verdict == "healthy" and self.status == "completed"

    @property
    def progress(self) -> float:
        """Share of the loss that is gone, of training or of validation, which running statistics hold back early."""
        return max((share for share in (self.learnt, self.val_learnt) if math.isfinite(share)), default=-math.inf)

    @property
    def best(self) -> float | None:
        """The best value of the objective; None where there is none."""
        return self.metrics.get(str(self.objective), {}).get("best")


def run_trial(
    overrides: Sequence[str],
    *,
    run_dir: Path | None = None,
    max_steps: int | None = None,
    quiet: bool = True,
    threads: int | None = None,
    conf: Path = CONF,
) -> Trial:
    """Train what ``python src/train.py OVERRIDES`` would, without logger and callbacks but the monitor.

    The monitor ends what is hopeless. Whatever goes wrong is the trial's ``reason``. Safe in a worker process.

    Args:
        overrides: as typed.
        run_dir: the folder of what a config writes by itself (a profile); None: one that is removed.
        max_steps: stop there, as the beginning of a full training (its schedules are those of the full length).
        quiet: keep warnings and remarks to itself.
        threads: of torch; None: as the config says.
        conf: the folder of the configs.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        SystemExit: 143, SIGTERM.

    Example:
        >>> trial = run_trial(["data=blobs", "trainer.max_epochs=1"], max_steps=5)
        >>> trial.status, trial.steps, trial.steps_planned
        ('completed', 5, 22)
    """
    with contextlib.ExitStack() as stack:
        if quiet:
            stack.enter_context(silence())
        folder = run_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            settings = _bare(compose_run_config(overrides, folder, conf), threads)
            return _train(settings, tuple(overrides), max_steps)
        except Exception as error:
            return Trial(tuple(overrides), "failed", reason=explain(error))


def _bare(settings: RunConfig, threads: int | None) -> RunConfig:
    """Nothing is saved and nothing shown, and no sick run goes on for long."""
    monitor = settings["monitor"]
    auto_stop = {"auto_stop": True} if "auto_stop" in monitor else {}
    bare = {"callbacks": {}, "logger": {}, "monitor": monitor | auto_stop}
    bare["trainer"] = settings["trainer"] | {"min_epochs": None}  # which would keep it from stopping
    return settings | bare | ({"threads": threads} if threads else {})


def _train(settings: RunConfig, overrides: tuple[str, ...], max_steps: int | None) -> Trial:
    settings = prepare(settings)
    from gradvitals.app.run.assemble import assemble

    run, watch = assemble(settings), _watch(max_steps)
    run.trainer.callbacks.append(watch)  # type: ignore[attr-defined]
    reason = None
    try:
        _fit(run)
        _validate_last(run, watch)
    except Exception as error:
        reason = explain(error)
    return _result(run, watch, settings, overrides, reason)


def _fit(run: Run) -> None:
    """Fit; Lightning ends the process on Ctrl-C and on SIGTERM, which is not its to decide here."""
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        run.trainer.fit(run.model, datamodule=run.data)
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        with contextlib.suppress(ValueError):  # not the main thread: nothing was changed
            signal.signal(signal.SIGINT, interrupt)
    if getattr(run.trainer, "received_sigterm", False):
        raise SystemExit(TERMINATED)


def _validate_last(run: Run, watch: Any) -> None:
    """Validate what a fit ended with, where it did not do so itself: some validate once in so many epochs."""
    from lightning.pytorch.utilities.model_helpers import is_overridden

    known = any(points[-1][0] == run.trainer.global_step for points in watch.curves.values())
    if not known and is_overridden("validation_step", run.model) and is_overridden("val_dataloader", run.data):
        run.trainer.validate(run.model, datamodule=run.data, verbose=False)


def _watch(max_steps: int | None) -> Any:
    """A callback that ends the fit after so many steps, and keeps the last losses and validation's values."""
    from lightning import Callback, LightningModule, Trainer

    class Watch(Callback):
        def __init__(self) -> None:
            self.planned: int | None = None
            self.losses: deque[Any] = deque(maxlen=WINDOW)
            self.curves: dict[str, list[tuple[int, float]]] = {}

        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            steps = trainer.estimated_stepping_batches
            self.planned = int(steps) if math.isfinite(steps) and steps > 0 else None

        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
            loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
            if loss is not None:
                self.losses.append(loss.detach())
            if max_steps is not None and trainer.global_step >= max_steps:
                trainer.should_stop = True

        def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if not trainer.sanity_checking:
                for tag in (tag for tag in trainer.callback_metrics if tag.startswith("val/")):
                    point = (trainer.global_step, float(trainer.callback_metrics[tag]))
                    self.curves.setdefault(tag, []).append(point)

    return Watch()


def _result(run: Run, watch: Any, settings: RunConfig, overrides: tuple[str, ...], reason: str | None) -> Trial:
    metrics, monitor = run.history.metrics, run.monitor
    found = monitor.diagnosis if monitor else None
    status, steps = _status(run, watch, reason), run.trainer.global_step
    objective = Objective.resolve(metrics, settings["objective"], settings["objective_mode"])
    value = Result.from_json({"metrics": metrics, "status": status}).value_of(objective) if objective else None
    chance = monitor.settings.chance if monitor else None
    val_loss = metrics.get("val/loss", {}).get("final")
    return Trial(
        overrides,
        status,
        verdict=found.verdict if found else None,
        severity=found.severity if found else None,
        verdict_step=found.step if found else None,
        evidence=str(found) if found else "",
        steps_planned=watch.planned,
        steps=steps,
        seconds=run.history.seconds,
        metrics=metrics,
        objective=objective,
        score=-math.inf if objective is None or value is None else objective.score(value),
        learnt=_gone(sum(map(float, watch.losses)) / len(watch.losses) if watch.losses else None, chance),
        val_learnt=_gone(val_loss, chance),
        profiles=monitor.profiles if monitor else {},
        curves=watch.curves,
        reason=reason,
        decided=run.decided,
    )


def _status(run: Run, watch: Any, reason: str | None) -> str:
    """As the app names it, but that an end which was asked for is an end and no stop."""
    from gradvitals.app.run import result as outcome

    status = "failed" if reason else outcome.status(run)
    monitor = run.monitor
    by_verdict = monitor is not None and monitor.diagnosis.verdict != "healthy" and run.trainer.should_stop
    return "completed" if status == "stopped" and not by_verdict else status


def _gone(loss: float | None, chance: float | None) -> float:
    return 1 - loss / chance if loss is not None and chance else math.nan


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep warnings and remarks from the screen."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
