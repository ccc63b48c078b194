"""A sick config in, a verified cured experiment out: train until diagnosed, try remedies, confirm the best.

*Cured* means that a full training from scratch ends ``completed`` with the verdict ``healthy``, and that its best
objective is clearly better than the sick run's: by :data:`CLEARLY` (five points of accuracy or r2), or, where less than
twice that is missing, by half of what is missing to 1; where lower is better, by a tenth.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.cure.attempts import Cure, _length, _value, words
from gradvitals.app.cure.experiment_file import name_of, write_experiment
from gradvitals.app.cure.lr_range_test import range_test
from gradvitals.app.cure.options import check_cure
from gradvitals.app.cure.result import write
from gradvitals.app.cure.search import search
from gradvitals.app.cure.trial import run_trial
from gradvitals.app.run.job import Job
from gradvitals.diagnosis.remedies import Net, Remedy, prescribe
from gradvitals.errors import ConfigError
from gradvitals.formatting import short, train_command

log = logging.getLogger(__name__)

NOTHING_HELPED = 3  # exit code
BY_RATE = ("stalled", "unstable", "non_finite")  # verdicts for which a range test is made


def cure(config: DictConfig) -> None:
    """Hydra's task function: one sick config.

    Raises:
        SystemExit: 1 refused or failed, 3 nothing helped, 130 Ctrl-C.
    """
    job, done, began = Job.current(), None, time.perf_counter()
    with job.refusals(began=lambda: done is not None):
        settings, conf = job.config(config), conf_folder()
        check_cure(settings["cure"], settings.overrides.typed_keys)
        _check_settings(settings, conf)
        overrides = sick_overrides(settings)
        log.info(f"sick         {' '.join(overrides) or 'the default config'}: training until it is diagnosed")
        sick = run_trial(overrides, conf=conf)
        if sick.status == "failed":
            raise ConfigError(sick.reason)
        if sick.status == "diverged" and sick.verdict == "healthy":  # validation alone, which the monitor does not see
            sick = replace(
                sick, verdict="non_finite", evidence="non_finite: the validation loss is not a finite number"
            )
        done = Cure(overrides, sick)
        if sick.verdict == "healthy":
            log.info(f"healthy      {_length(sick)}, {_value(sick)}: nothing to cure")
            write(done, job.run_dir, None, time.perf_counter() - began)
            return
        log.info(f"verdict      {sick.evidence}")
        done.remedies = remedies_for(done, settings, conf)
        search(done, settings["cure"], conf)
        _close(done, settings["cure"]["name"], conf, job, time.perf_counter() - began)


def conf_folder() -> Path:
    """The folder that this script's configs come from."""
    sources = HydraConfig.get().runtime.config_sources
    return Path(next(source.path for source in sources if source.provider == "main"))


def _check_settings(settings: RunConfig, conf: Path) -> None:
    """Refuse what a cure cannot work with, before anything is trained."""
    if not settings["monitor"].get("_target_"):
        raise ConfigError("monitor=off: expected a monitor, whose verdict tells what to cure. Set monitor=default")
    for key, one in (("devices", (1, "auto")), ("strategy", ("auto",)), ("num_nodes", (1,))):
        if (value := settings["trainer"].get(key, one[0])) not in one:
            raise ConfigError(f"trainer.{key}: a cure trains in one process each; expected {one[0]}; got {value!r}")
    folder = conf / "experiment" / "cured"
    nearest = folder if folder.exists() else folder.parent
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise ConfigError(
            f"{short(folder)}: expected a folder that can be written, for the cured experiment; it cannot"
        )


def sick_overrides(settings: RunConfig) -> list[str]:
    """What was typed, but for the cure's own keys; with a seed, which all its trainings share."""
    words = [word for word in settings.overrides if not word.lstrip("+~").startswith(("cure.", "task_name="))]
    return words if settings["seed"] is not None else [*words, f"seed={secrets.randbelow(2**32)}"]


def _net(settings: RunConfig, decided: tuple[str, ...]) -> Net:
    """What remedies depend on; the Trainer may clip without the group ``clip``."""
    from gradvitals.app.run.result import net_of

    net = net_of(settings, decided)
    by_trainer = settings["trainer"].get("gradient_clip_val") is not None
    return replace(net, clip="norm") if by_trainer else net


def remedies_for(done: Cure, settings: RunConfig, conf: Path) -> list[Remedy]:
    """What is prescribed, after a range test where the rate may be to blame."""
    net = _net(settings, done.sick.decided)
    before_any_step = done.sick.verdict == "non_finite" and done.sick.verdict_step == 0  # no rate is to blame
    if done.sick.verdict in BY_RATE and not before_any_step:
        done.usual_lr, done.range_steps, done.range_seconds = range_test(done.overrides, conf=conf)
        log.info(f"range test   {'none' if done.usual_lr is None else f'optimizer.lr={done.usual_lr:.2g}'}")
    return prescribe(str(done.sick.verdict), replace(net, usual_lr=done.usual_lr))


def _close(done: Cure, name: str | None, conf: Path, job: Job, seconds: float) -> None:
    """Write what was found, say it, and end with the exit code."""
    file = write_experiment(done, name or name_of(done.overrides), conf) if done.cured else None
    write(done, job.run_dir, file, seconds)
    log.info(f"cost         {done.cost:.2f} full trainings; {seconds:.0f} s in all")
    if file is not None and done.cured is not None:
        log.info(f"cured        {done.cured}: {_value(done.sick)} -> {words(done.cured.trial)}")
        log.info(f"type         {train_command([f'experiment=cured/{file.stem}'])}")
    else:
        log.info(f"not cured    none of {len(done.tried)} remedies helped enough: {'; '.join(map(str, done.tried))}")
    log.info(f"report       {short(job.run_dir / 'cure.md')}")
    if done.cured is None and not job.sweep:
        raise SystemExit(NOTHING_HELPED)
