"""Turns a sick config into a cured experiment: trains until diagnosed, tries remedies, confirms the best."""

from __future__ import annotations

import logging
import os
import secrets
import time
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gradvitals.app.config.conf_folder import is_of_a_user
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.cure.attempts import CureState
from gradvitals.app.cure.cure_file import PAGE, command_of, write_results
from gradvitals.app.cure.experiment_file import cured_folder, name_of, without_paths, write_experiment
from gradvitals.app.cure.lr_range_test import range_test
from gradvitals.app.cure.options import CureOptions
from gradvitals.app.cure.search import search
from gradvitals.app.cure.trial import Trial, run_trial
from gradvitals.app.run.job import Job
from gradvitals.app.run.opening_lines import announce_run, show_config
from gradvitals.diagnosis.outcome import HEALTHY, NOT_LEARNING, UNDECIDED
from gradvitals.diagnosis.remedies import Remedy, prescribe
from gradvitals.errors import ConfigError
from gradvitals.formatting import in_shell, short, typed
from gradvitals.results.longer_run import longer
from gradvitals.results.objective import AUTO

log = logging.getLogger(__name__)

NOTHING_HELPED = 3  # exit code
WITHOUT_PART = ("cure.", "task_name=", "print_config=")  # overrides of this command alone
BY_RATE = ("stalled", "unstable", "non_finite")  # verdicts that call for a range test
BY_CODE = ("no_update", "replicas")  # what no config mends
LOSS = Remedy(("loss=auto",), "the loss that fits the targets", "Goodfellow, Bengio & Courville (2016)")


def cure(config: DictConfig) -> None:
    """Cures one config; the task function of Hydra.

    Raises:
        SystemExit: 1 refused or failed, 3 nothing helped or no remedy is known or the verdict is undecided, 130 Ctrl-C.
    """
    job, state, began = Job.current(), None, time.perf_counter()
    with job.refusals(began=lambda: state is not None):
        settings, conf = job.config(config), composed_folder()
        options = CureOptions.checked(settings)
        _check_settings(settings, conf)
        announce_run(job)
        show_config(job, settings)
        overrides = sick_overrides(settings)
        log.info(f"sick         {' '.join(overrides) or 'the default config'}: training until it is diagnosed")
        state = CureState(overrides, _diagnosed(run_trial(overrides, conf=conf)))
        announce_run(job, begun=True)
        if state.sick.verdict == UNDECIDED:
            state.longer = longer(without_paths(overrides), settings.values, state.sick.steps)
        elif state.sick.verdict != HEALTHY:
            log.info(f"verdict      {state.sick.evidence}")
            state.remedies = remedies_for(state, settings, conf)
            if state.remedies:
                search(state, options, conf)
        _finish(state, options.name, conf, job, time.perf_counter() - began)


def composed_folder() -> Path:
    """Returns the folder of the configs that Hydra composed from."""
    sources = HydraConfig.get().runtime.config_sources
    return Path(next(source.path for source in sources if source.provider == "main"))


def _check_settings(settings: RunConfig, conf: Path) -> None:
    if not settings["monitor"].get("_target_"):
        raise ConfigError("monitor=off: expected a monitor, whose verdict says what to cure. Set monitor=default")
    for key, one in (("devices", (1, "auto")), ("strategy", ("auto",)), ("num_nodes", (1,))):
        if (value := settings["trainer"].get(key, one[0])) not in one:
            raise ConfigError(f"trainer.{key}: a cure trains in one process each; expected {one[0]}; got {value!r}")
    if not is_of_a_user(conf):
        return
    folder = cured_folder(conf)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise ConfigError(
            f"{short(folder)}: expected a folder that can be written, for the cured experiment; it cannot"
        )


def sick_overrides(settings: RunConfig) -> list[str]:
    """Returns the overrides without those of this command alone, and with a seed that all trainings share."""
    words = [word for word in settings.overrides if not word.lstrip("+~").startswith(WITHOUT_PART)]
    return words if settings["seed"] is not None else [*words, f"seed={secrets.randbelow(2**32)}"]


def _diagnosed(sick: Trial) -> Trial:
    """The sick run with a verdict; the monitor does not see a validation loss that is not finite."""
    if sick.status == "failed":
        raise ConfigError(sick.reason)
    if sick.status == "diverged" and sick.verdict in (HEALTHY, NOT_LEARNING, UNDECIDED):
        evidence = "non_finite: the validation loss is not a finite number"
        return replace(sick, verdict="non_finite", evidence=evidence)
    return sick


def remedies_for(state: CureState, settings: RunConfig, conf: Path) -> list[Remedy]:
    """Returns the remedies for the verdict; adds a range test to the state where the learning rate may be the cause.

    There is none for what only code can mend, and for ``head`` only where the config chose the loss itself.
    """
    from gradvitals.app.run.run_result import net_of

    if state.sick.verdict == "head":
        return [] if settings["loss"] == AUTO else [LOSS]
    if state.sick.verdict in BY_CODE:
        return []
    sick, net = state.sick, net_of(settings, state.sick.decided)
    if settings["trainer"].get("gradient_clip_val") is not None:  # which clips without the group clip
        net = replace(net, clip="norm")
    before_any_step = sick.verdict == "non_finite" and sick.verdict_step == 0  # no learning rate is the cause
    if sick.verdict in BY_RATE and not before_any_step:
        state.range_test = range_test(state.overrides, conf=conf)
        lr = state.range_test.lr
        log.info(f"range test   {'none' if lr is None else f'optimizer.lr={lr:.2g}'}")
    return prescribe(str(sick.verdict), replace(net, usual_lr=state.range_test.lr))


def _finish(state: CureState, name: str | None, conf: Path, job: Job, seconds: float) -> None:
    sick, cured = state.sick, state.cured
    file = write_experiment(state, cured, name or name_of(state.overrides), conf, job.run_dir) if cured else None
    write_results(state, job.run_dir, file, seconds)
    if sick.verdict == HEALTHY:
        log.info(f"healthy      {sick.length_text}, {sick.best_text}: nothing to cure")
        return
    if sick.verdict == UNDECIDED:
        log.info(f"undecided    {sick.evidence.removeprefix(f'{UNDECIDED}: ')}")
        log.info(f"type         {typed('cure', state.longer)}")
    elif not state.remedies:
        log.info(f"not cured    no config mends it: {sick.advice or sick.evidence}")
    else:
        log.info(f"cost         {state.cost:.2f} full trainings; {seconds:.0f} s in all")
        if cured and file:
            log.info(f"cured        {cured}: {sick.best_text} -> {cured.trial}")
            log.info(f"experiment   {short(file)}{', which git ignores' if is_of_a_user(conf) else ''}")
            log.info(f"type         {command_of(state, file)}")
        else:
            attempts = state.attempts
            log.info(f"not cured    none of {len(attempts)} remedies helped enough: {'; '.join(map(str, attempts))}")
        log.info(f"report       {in_shell(job.run_dir / PAGE)}")
    if not cured and not job.sweep:
        raise SystemExit(NOTHING_HELPED)
