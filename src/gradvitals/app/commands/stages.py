"""The stages of a run after it was assembled: fit, test, report and summary."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import ParallelStrategy
from omegaconf import DictConfig

from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.config.schema import RULES
from gradvitals.app.processes.interruption import Interruption
from gradvitals.app.processes.same_config import SameConfig
from gradvitals.app.processes.signals import Signals
from gradvitals.app.processes.subprocesses import job_subprocesses
from gradvitals.app.run.assemble import Run
from gradvitals.app.run.build_data import description_of
from gradvitals.app.run.job import Job
from gradvitals.app.run.run_result import mark_unfinished
from gradvitals.app.sweep.sweep_job import pruning
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.formatting import short
from gradvitals.loggers.hparams import hyperparameters, log_hparams
from gradvitals.results.files import write_bytes
from gradvitals.results.record import read
from gradvitals.results.result import Result
from gradvitals.tabular.table_lines import lines

log = logging.getLogger(__name__)
TYPES = {key: rule.kind for key, rule in RULES.items()}


def processes(run: Run, job: Job, config: DictConfig, ckpt_path: str | None) -> AbstractContextManager[None]:
    """Returns a context in which Lightning may start the other processes of a run; all of them compare configs."""
    if not isinstance(run.trainer.strategy, ParallelStrategy):
        return nullcontext()
    run.trainer.callbacks.insert(0, SameConfig(config, ckpt_path))  # type: ignore[attr-defined]
    return job_subprocesses(job, ckpt_path)


def fit(run: Run, config: RunConfig, job: Job, signals: Signals) -> None:
    """Trains the model, unless the config asks for a test alone."""
    if not config["train"]:
        return
    if is_first_process():
        mark_unfinished(job.run_dir)
    if config["ckpt_path"] is None and run.trainer.is_global_zero:
        metrics = [f"val/{getattr(run.model, 'metric_name', 'loss')}", "vitals/severity"]
        log_hparams(run.trainer.loggers, hyperparameters(config.values, config.choices, TYPES), metrics)
    errors = run.checkpoint_io.errors
    errors.watch_log()
    for logger in run.trainer.loggers if run.trainer.is_global_zero else ():  # the other processes write nothing
        errors.watch(logger)
    pruned = job.sweep and pruning(job.sweep, config)
    run.trainer.callbacks += [*([pruned] if pruned else []), Interruption(signals)]  # type: ignore[attr-defined]
    try:
        run.trainer.fit(run.model, datamodule=run.data, ckpt_path=config["ckpt_path"], weights_only=True)
    finally:
        signals.waits = False


def test(run: Run, config: RunConfig) -> None:
    """Tests the best weights, or the last ones, as the config asks."""
    if not config["test"] or not run.has_test:
        return
    best = run.checkpoint.best_model_path if run.checkpoint and config["test"] == "best" else ""
    if Path(best) in run.checkpoint_io.failed:
        log.warning(f"{short(Path(best))} could not be written: the last weights are tested")
        best = ""
    ckpt_path = best or (config["ckpt_path"] if not config["train"] else None)
    run.trainer.test(run.model, datamodule=run.data, ckpt_path=ckpt_path or None, weights_only=True, verbose=False)


def keep(earlier: Result, run_dir: Path) -> None:
    """Restores the result of a run that had ended before, where its longer fit failed or never began."""
    earlier.write(run_dir)
    log.info(f"{short(run_dir)} stays {earlier.status}, as it was after {earlier.steps} steps")


def write_report(run: Run, run_dir: Path) -> None:
    """Writes ``report.html`` from the files of a run; an error is a warning, because the results are there."""
    from gradvitals.report.pages.phrases import PAGE  # not before the fit
    from gradvitals.report.pages.run_page import run_page

    try:
        for logger in run.trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.flush()  # its curves are read back from the file
        write_bytes(run_dir / PAGE, run_page(read(run_dir), with_remedy).encode())
    except Exception as error:
        log.warning(f"{PAGE} cannot be written: {error}")


def show_table(run: Run, config: RunConfig) -> None:
    """Logs what was read of a table, before the training, from the first process alone."""
    description = description_of(run.data)
    if description is not None and is_first_process():
        show("\n".join(lines(description)), config)


def show(text: str, config: RunConfig) -> None:
    """Logs lines about a run; in a sweep, whose progress is on the screen, only to the run's log file."""
    log_to_file(text)
    if config.in_sweep or not log.isEnabledFor(logging.INFO):
        return
    from gradvitals.app.run.run_summary import colored

    for handler in logging.getLogger().handlers:
        if not isinstance(handler, logging.FileHandler) and handler.level <= logging.INFO:
            handler.emit(_message(colored(text) if _has_colors(handler) else text))


def _has_colors(handler: logging.Handler) -> bool:
    """Whether a handler writes to a terminal whose user has not turned colors off (https://no-color.org)."""
    stream = getattr(handler, "stream", None)
    return bool(stream and stream.isatty()) and not os.environ.get("NO_COLOR")


def log_to_file(text: str) -> None:
    """Writes a text to the run's log file and not to the screen."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.emit(_message(text))


def _message(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"name": __name__, "levelno": logging.INFO, "levelname": "INFO", "msg": text})
