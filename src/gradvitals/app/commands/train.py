"""One run from a composed config to its result: build, fit, test, write, sum up.

The module itself imports nothing heavy; torch and lightning come in with :func:`train`, after Hydra has configured
logging, so that Lightning's messages reach the run's log file.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from gradvitals.app.config.error_messages import explain, full_errors
from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.app.processes.signals import Signals
from gradvitals.app.processes.subprocesses import job_subprocesses
from gradvitals.app.run.environment import prepare
from gradvitals.app.run.job import Job, discard
from gradvitals.app.sweep.sweep_job import (
    has_failed,
    is_finished,
    previous_attempt,
    pruning,
    reserve_gpu,
    restore_environment,
    resume_from,
)
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import INTERRUPTED, ConfigError
from gradvitals.formatting import short
from gradvitals.results.files import write_bytes
from gradvitals.results.objective import UNKNOWN_WORST, Objective
from gradvitals.results.record import read

if TYPE_CHECKING:
    from gradvitals.app.run.assemble import Run
    from gradvitals.results.record import Record

log = logging.getLogger(__name__)

log = logging.getLogger(__name__)
NAME = "report.html"


def train(config: DictConfig) -> float | None:
    """Hydra's task function: one job.

    Returns:
        The best value of the objective, for a sweeper; a finite penalty where the run diverged, or failed in a sweep.

    Raises:
        SystemExit: 1 refused, 130 Ctrl-C, 143 SIGTERM or SIGUSR1.
    """
    job = Job.at_hand()
    if job.sweep is None:
        return _train(config, job)
    restore_environment()
    if config.on_failure == "stop" and has_failed(job.sweep.folder):
        discard(job.run_dir)
        return _penalty(config)
    left = previous_attempt(job.run_dir, job.overrides)
    if left is not None and is_finished(left):
        value = left.result.value_of(left.objective) if left.objective else None
        return _penalty(config) if value is None else value
    try:
        return _train(config, job, left)
    except Exception:  # its reason stands in result.json; the other jobs go on
        if full_errors():
            traceback.print_exc()
        return _penalty(config)


def _penalty(config: DictConfig) -> float:
    """Returns what a sweeper is given for a job without a value."""
    objective = Objective.resolve((), str(config.objective), str(config.objective_mode))
    return objective.worst if objective else UNKNOWN_WORST


def _train(config: DictConfig, job: Job, left: Record | None = None) -> float | None:
    run = None
    with ExitStack() as stack, job.refusals(began=lambda: run is not None and run.began):
        signals = stack.enter_context(Signals())
        settings = job.settings(config)
        if left is not None:
            resume_from(settings, left)
        prepare(settings)
        if job.sweep is not None:
            stack.enter_context(reserve_gpu(settings["trainer"]))
        run = _assemble(settings)
        if job.sweep is not None and (callback := pruning(job.sweep, settings)):
            run.trainer.callbacks.append(callback)  # type: ignore[attr-defined]
        return execute(run, settings, job.run_dir, signals, _others(run, config, job, settings["ckpt_path"]))


def _others(run: Run, config: DictConfig, job: Job, ckpt_path: str | None) -> AbstractContextManager[None]:
    """The other processes of a run, if it may have any, which make sure that they belong together."""
    from lightning.pytorch.strategies import ParallelStrategy

    from gradvitals.app.processes.same_config import SameConfig

    if not isinstance(run.trainer.strategy, ParallelStrategy):
        return nullcontext()
    run.trainer.callbacks.insert(0, SameConfig(config, ckpt_path))  # type: ignore[attr-defined]
    return job_subprocesses(job, ckpt_path)


def _assemble(settings: dict[str, Any]) -> Run:
    from gradvitals.app.run.assemble import assemble
    from gradvitals.checkpoints.compare import load_weights
    from gradvitals.checkpoints.locate import locate

    if not settings["train"] and not (settings["weights"] or settings["ckpt_path"]):
        raise ConfigError("train=false: nothing to test. Set weights=RUN_DIR or ckpt_path=FILE")
    if not settings["weights"] or settings["ckpt_path"]:  # a run that is resumed has its own
        return assemble(settings)
    settings["weights"] = str(locate(settings["weights"], settings["paths"]["logs"]))
    run = assemble(settings)
    load_weights(run.model, Path(settings["weights"]))
    if is_first_process():
        log.info(f"weights      {settings['weights']}")
    return run


def execute(
    run: Run,
    settings: dict[str, Any],
    run_dir: Path,
    signals: Signals,
    others: AbstractContextManager[None],
) -> float | None:
    """Fit, test, write the run's files and print the closing summary; within ``others``, the run's other processes."""
    from gradvitals.app.run import result as outcome
    from gradvitals.app.run.summary import summary

    reason, code, unwritten = None, 0, None
    try:
        with others:
            if settings["train"]:
                _fit(run, settings, signals, run_dir)
            _test(run, settings)
    except (KeyboardInterrupt, SystemExit):
        code = signals.code or INTERRUPTED
    except Exception as error:
        reason = explain(error)
        _log_to_file(traceback.format_exc())
        raise
    finally:
        status = "failed" if reason else outcome.status(run, interrupted=code > 0)
        result = outcome.result(run, settings, status, reason)
        if run.trainer.is_global_zero and (run.began or not (reason or code)):
            unwritten = outcome.write(result, run, settings, run_dir)
            if settings["report"] and not unwritten:
                write_report(run, run_dir)
    if code and not run.began:
        raise SystemExit(code)
    if run.trainer.is_global_zero:
        words = summary(result, outcome.monitor_of(run.trainer), settings, run_dir)
        _log_to_file(words) if settings.get("in_sweep") else log.info(words)
    if code:
        raise SystemExit(code)
    if unwritten:
        raise ConfigError(unwritten)
    return outcome.objective_value(result)


def _log_to_file(words: str) -> None:
    """Into the run's log file and not onto the screen."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.emit(logging.makeLogRecord({"name": __name__, "levelname": "INFO", "msg": words}))


def _fit(run: Run, settings: dict[str, Any], signals: Signals, run_dir: Path) -> None:
    from gradvitals.app.processes.interruption import Interruption
    from gradvitals.app.run import result as outcome
    from gradvitals.loggers.hparams import hyperparameters, log_hparams

    if is_first_process():
        outcome.mark_unfinished(run_dir)
    if settings["ckpt_path"] is None:
        metrics = [f"val/{getattr(run.model, 'metric_name', 'loss')}", "vitals/severity"]
        log_hparams(run.trainer.loggers, hyperparameters(settings), metrics)
    errors = run.checkpoint_io.errors
    errors.watch_log()
    for logger in run.trainer.loggers if run.trainer.is_global_zero else ():  # the other processes write nothing
        errors.watch(logger)
    run.trainer.callbacks.append(Interruption(signals))  # type: ignore[attr-defined]
    try:
        run.trainer.fit(run.model, datamodule=run.data, ckpt_path=settings["ckpt_path"], weights_only=True)
    finally:
        signals.waits = False


def _test(run: Run, settings: dict[str, Any]) -> None:
    if not settings["test"] or not run.has_test:
        return
    best = run.checkpoint.best_model_path if run.checkpoint and settings["test"] == "best" else ""
    if Path(best) in run.checkpoint_io.failed:
        log.warning(f"{short(Path(best))} could not be written: the last weights are tested")
        best = ""
    ckpt_path = best or (settings["ckpt_path"] if not settings["train"] else None)
    run.trainer.test(run.model, datamodule=run.data, ckpt_path=ckpt_path or None, weights_only=True, verbose=False)


def write_report(run: Run, run_dir: Path) -> None:
    """Write ``report.html`` from what lies in a run's directory; a page that cannot be written is told of."""
    from lightning.pytorch.loggers import TensorBoardLogger

    from gradvitals.report.pages.run_page import run_page

    try:
        for logger in run.trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.flush()  # its curves are read back from the file
        write_bytes(run_dir / NAME, run_page(read(run_dir), with_remedy).encode())
    except Exception as error:  # the results are there
        log.warning(f"{NAME} cannot be written: {error}")
