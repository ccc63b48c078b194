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
from gradvitals.app.guard import is_first_process, leave, typed_keys

if TYPE_CHECKING:
    from gradvitals.app.assemble import Run

log = logging.getLogger(__name__)

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
        settings |= {"overrides": overrides, "typed": typed_keys(overrides)}
        check(settings, settings["typed"])
        settings["choices"] = {group: option for group, option in hydra.runtime.choices.items() if "/" not in group}
        run = _prepare(settings)
        return execute(run, settings, run_dir, overrides)
    except KeyboardInterrupt:  # before Lightning listens
        discard(run_dir)
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        if is_first_process() and not (run and run.began):
            _never_began(run_dir, overrides, explain(error), sweeping)
        if sweeping or full_errors():
            raise  # Hydra goes on with the sweep
        leave(explain(error))


def _never_began(run_dir: Path, overrides: list[str], reason: str, sweeping: bool) -> None:
    """A refused run leaves no directory; a refused job of a sweep leaves its reason there."""
    if sweeping:
        write_json(run_dir / "result.json", {"status": "failed", "reason": reason, "overrides": overrides})
    else:
        discard(run_dir)


def _prepare(settings: dict[str, Any]) -> Run:
    _import_heavy()
    from lightning import seed_everything

    from gradvitals.app.assemble import assemble
    from gradvitals.app.checkpoints import load_weights
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


def execute(run: Run, settings: dict[str, Any], run_dir: Path, overrides: list[str]) -> float | None:
    """Fit, test, write the run's files and print the closing summary."""
    from gradvitals.app import outcome

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
        status = "failed" if reason else outcome.status(run, interrupted=code > 0)
        result = outcome.result(run, settings, status, overrides, reason)
        if run.trainer.is_global_zero and (run.began or not reason):
            outcome.write(result, run, run_dir)
    if run.trainer.is_global_zero:
        log.info(outcome.summary(result, outcome.monitor_of(run), run_dir))
    if code:
        raise SystemExit(code)
    return outcome.objective(result, settings["objective"])


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
