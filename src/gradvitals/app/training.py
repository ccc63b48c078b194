"""One run from a composed config to its result: build, fit, test, write, sum up.

The module itself imports nothing heavy; torch and lightning come in with :func:`train`, after Hydra has configured
logging, so that Lightning's messages reach the run's log file.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.check import check
from gradvitals.app.errors import Refused, explain, full_errors
from gradvitals.app.files import discard, write_json
from gradvitals.app.guard import leave, typed_keys

if TYPE_CHECKING:
    from gradvitals.app.assemble import Run

log = logging.getLogger(__name__)

PENALTY = {"loss": 1e6, "acc": 0.0}  # what a sweeper is given for a run that diverged, by the objective's last part
INTERRUPTED, TERMINATED = 130, 143  # exit codes of Ctrl-C and SIGTERM


def train(config: DictConfig) -> float | None:
    """Hydra's task function: one job.

    Returns:
        The best value of the objective, for a sweeper; a finite penalty where the run diverged.

    Raises:
        SystemExit: 1 refused, 130 Ctrl-C, 143 SIGTERM.
    """
    hydra = HydraConfig.get()
    run_dir, overrides = Path(hydra.runtime.output_dir), list(hydra.overrides.task)
    sweeping = hydra.mode == RunMode.MULTIRUN
    run: Run | None = None
    try:
        settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        check(settings, typed_keys(overrides))
        settings["typed"] = typed_keys(overrides)
        settings["choices"] = {group: option for group, option in hydra.runtime.choices.items() if "/" not in group}
        run = _prepare(settings)
        return execute(run, settings, run_dir, overrides)
    except KeyboardInterrupt:  # before Lightning listens
        discard(run_dir)
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        if not sweeping and not (run and run.began):
            if os.environ.get("LOCAL_RANK", "0") == "0":
                discard(run_dir)
        elif not (run and run.began):
            write_json(run_dir / "result.json", {"status": "failed", "reason": explain(error), "overrides": overrides})
        if sweeping or full_errors():
            raise  # Hydra goes on with the sweep
        leave(explain(error))


def _prepare(settings: dict[str, Any]) -> Run:
    _import_heavy()
    from lightning import seed_everything

    from gradvitals.app.assemble import assemble
    from gradvitals.app.quiet import quiet

    quiet()
    if settings["seed"] is None:  # the other processes of a distributed run inherit what the first one drew
        inherited = os.environ.get("PL_GLOBAL_SEED") if "LOCAL_RANK" in os.environ else None
        settings["seed"] = int(inherited) if inherited else secrets.randbelow(2**32)
    seed_everything(settings["seed"], workers=True, verbose=False)
    run = assemble(settings)
    if settings["weights"]:
        load_weights(run.model, settings["weights"])
    if not settings["train"] and not (settings["weights"] or settings["ckpt_path"]):
        raise Refused("train=false: nothing to test. Set weights=RUN_DIR or ckpt_path=FILE")
    return run


def _import_heavy() -> None:
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError) as error:
        first = str(error).partition("\n")[0]
        raise Refused(
            f"torch and torchvision cannot be imported together ({first}). They come in pairs: "
            "reinstall both at the versions that constraints.txt pins, from one index (make setup)"
        ) from error


def load_weights(model: Any, source: str) -> None:
    """Weights of a checkpoint, or of a run's last one, into a model; nothing else of it.

    Raises:
        FileNotFoundError: no such file, or a directory without checkpoints.
        ValueError: the checkpoint's network is another one; it says what differs.
    """
    from gradvitals.app.checkpoints import read

    path = Path(source) / "checkpoints" / "last.ckpt" if Path(source).is_dir() else Path(source)
    try:
        model.load_state_dict(read(path, "weights")["state_dict"])
    except RuntimeError as error:
        differences = " ".join(str(error).split()[:40])
        raise ValueError(f"weights={source}: expected a checkpoint of the same network; {differences}") from None


def execute(run: Run, settings: dict[str, Any], run_dir: Path, overrides: list[str]) -> float | None:
    """Fit, test, write the run's files and print the closing summary."""
    from gradvitals.app import report

    reason, code = None, 0
    try:
        if settings["train"]:
            _fit(run, settings)
        code = _interruption(run)
        if not code:
            _test(run, settings)
            code = _interruption(run)
    except (KeyboardInterrupt, SystemExit):  # the second is Lightning's answer to Ctrl-C
        code = _interruption(run) or INTERRUPTED
    except Exception as error:
        reason = explain(error)
        _log_traceback()
        raise
    finally:
        status = "failed" if reason else status_of(run, code)
        outcome = report.result(run, settings, status, overrides, reason)
        if run.trainer.is_global_zero and (run.began or not reason):
            report.write(outcome, run, run_dir)
    if run.trainer.is_global_zero:
        log.info(report.summary(outcome, report.monitor_of(run), run_dir))
    if code:
        raise SystemExit(code)
    return objective(outcome, settings["objective"])


def _log_traceback() -> None:
    """The traceback of the error in hand, into the run's log file and not onto the screen."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.emit(logging.makeLogRecord({"levelname": "ERROR", "msg": traceback.format_exc()}))


def _fit(run: Run, settings: dict[str, Any]) -> None:
    from gradvitals.app.tensorboard import hyperparameters, log_hparams

    if settings["ckpt_path"] is None:
        log_hparams(run.trainer.loggers, hyperparameters(settings), f"val/{getattr(run.model, 'metric_name', 'loss')}")
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        run.trainer.fit(run.model, datamodule=run.data, ckpt_path=settings["ckpt_path"])
    finally:
        signal.signal(signal.SIGINT, interrupt)  # Lightning ignores it after the first Ctrl-C


def _test(run: Run, settings: dict[str, Any]) -> None:
    if not settings["test"] or not run.has_test:
        return
    best = run.checkpoint.best_model_path if run.checkpoint and settings["test"] == "best" else ""
    ckpt_path = best or (settings["ckpt_path"] if not settings["train"] else None)
    run.trainer.test(run.model, datamodule=run.data, ckpt_path=ckpt_path or None, verbose=False)


def _interruption(run: Run) -> int:
    """The exit code of a signal that ended the fit; 0 where none did."""
    if getattr(run.trainer, "received_sigterm", False):
        return TERMINATED
    return INTERRUPTED if run.trainer.interrupted else 0


def status_of(run: Run, code: int) -> str:
    """``completed``, ``stopped`` (early), ``diverged`` (a loss that is not finite) or ``interrupted``."""
    if code:
        return "interrupted"
    if any(tag.endswith("loss") and values["final"] is None for tag, values in run.history.metrics.items()):
        return "diverged"
    return "stopped" if run.trainer.should_stop else "completed"


def objective(outcome: dict[str, Any], tag: str) -> float | None:
    """The best value of a metric; ``auto`` is ``val/acc``, of a regression ``val/r2``."""
    metrics = outcome["metrics"]
    if tag == "auto":
        tag = next((t for t in ("val/acc", "val/r2", "val/loss") if t in metrics), "train/loss")
    if outcome["status"] == "diverged":
        return PENALTY.get(tag.rpartition("/")[2], -1e6)
    if tag not in metrics:
        log.warning(f"objective={tag}: no such metric; there are {', '.join(sorted(metrics)) or 'none'}")
        return None
    return metrics[tag]["best"]
