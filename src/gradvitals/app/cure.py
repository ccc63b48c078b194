"""A sick config in, a verified cured experiment out: train until diagnosed, try remedies, confirm the best.

*Cured* means that a full training from scratch ends ``completed`` with the verdict ``healthy``, and that its best
objective is clearly better than the sick run's: by :data:`CLEARLY` (five points of accuracy or r2), or, where less than
twice that is missing, by half of what is missing to 1; where lower is better, by a tenth.
"""

from __future__ import annotations

import logging
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gradvitals.app.compose import experiment
from gradvitals.app.errors import Refused
from gradvitals.app.files import write_json
from gradvitals.app.guard import Guard, leave, typed_keys
from gradvitals.app.job import Job
from gradvitals.app.names import short, slug
from gradvitals.app.remedy_overrides import with_remedy
from gradvitals.app.rule import Rule, either, number, one_of, optional, whole
from gradvitals.app.trial import Trial, range_test, run_trial
from gradvitals.diagnosis.remedies import Net, Remedy, prescribe
from gradvitals.report.visible import visible
from gradvitals.report.words import train_command

log = logging.getLogger(__name__)

NOTHING_HELPED = 3  # exit code
CLEARLY = 0.05  # of accuracy or r2
SAME_SCORE, SAME_LOSS = 0.02, 0.1  # of accuracy; of the share that is learnt: nearer than this says nothing yet
BY_RATE = ("stalled", "unstable", "non_finite")  # verdicts for which a range test is made
WORKER_START = 20.0  # seconds until new processes have imported torch and lightning, on a busy machine
FEW_STEPS = 20  # whose time is that of starting a fit, and says nothing of the pace
IDLE = ("resume", "ckpt_path", "train", "weights")
NAME = re.compile(r"[A-Za-z0-9_-]+")

RULES = {
    "share": number(above=0, high=1),
    "least_steps": whole(1),
    "enough": optional(number(0, 1)),
    "confirmations": whole(1),
    "workers": either(whole(1), one_of("auto")),
    "name": optional(Rule("letters, digits, - and _", lambda v: isinstance(v, str) and bool(NAME.fullmatch(v)))),
}


class CureGuard(Guard):
    """Checks ``cure.*`` too before a run directory is made."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        super().on_run_start(config, **kwargs)
        try:
            check_cure(config.cure, typed_keys(config.hydra.overrides.task))
        except ValueError as error:
            leave(str(error))


def check_cure(options: Mapping[str, Any], typed: Sequence[str] = ()) -> None:
    """Refuse values of ``cure`` that cannot be meant, and keys that have no part in a cure.

    Raises:
        Refused: with the key, what was expected and what came.
    """
    for key, rule in RULES.items():
        if not rule.accepts(options[key]):
            raise Refused(f"cure.{key}: expected {rule.expected}; got {options[key]!r}")
    if idle := [key for key in typed if key in IDLE]:
        raise Refused(f"{idle[0]}: has no part in a cure, which trains from scratch; leave it out")


@dataclass(frozen=True)
class Tried:
    """A remedy and what came of it; ``index`` tells small changes (low) from large ones."""

    index: int
    remedy: Remedy
    trial: Trial

    def __str__(self) -> str:
        return " ".join(self.remedy.overrides)


@dataclass
class Cure:
    """How far a cure has come.

    Attributes:
        overrides: of the sick config.
        sick: its training.
        remedies: that are prescribed, the smallest change first.
        tried: for a short budget, in that order.
        confirmed: at full length, the best first.
        cured: the one that is; None: none is.
        usual_lr: that a range test found.
        range_steps, range_seconds: that it took.
    """

    overrides: list[str]
    sick: Trial
    remedies: list[Remedy] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    confirmed: list[Tried] = field(default_factory=list)
    cured: Tried | None = None
    usual_lr: float | None = None
    range_steps: int = 0
    range_seconds: float = 0.0

    @property
    def steps(self) -> dict[str, int]:
        """Steps of each part; a trial that was a full training already is counted once."""
        full = [t.trial.steps for t in self.confirmed if t not in self.tried]
        trials = sum(tried.trial.steps for tried in self.tried)
        return {"sick": self.sick.steps, "range_test": self.range_steps, "trials": trials, "confirmation": sum(full)}

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of fit of each part."""
        full = [t.trial.seconds for t in self.confirmed if t not in self.tried]
        trials = sum(tried.trial.seconds for tried in self.tried)
        sick, tested = self.sick.seconds, self.range_seconds
        return {"sick": sick, "range_test": tested, "trials": trials, "confirmation": sum(full)}

    @property
    def cost(self) -> float:
        """All steps, in full trainings."""
        return sum(self.steps.values()) / (self.sick.steps_planned or math.nan)


def cure(config: DictConfig) -> None:
    """Hydra's task function: one sick config.

    Raises:
        SystemExit: 1 refused or failed, 3 nothing helped, 130 Ctrl-C.
    """
    job, done, began = Job.at_hand(), None, time.perf_counter()
    with job.refusals(began=lambda: done is not None):
        settings, conf = job.settings(config), conf_folder()
        check_cure(settings["cure"], settings["typed"])
        _check_settings(settings, conf)
        overrides = sick_overrides(settings)
        log.info(f"sick         {' '.join(overrides) or 'the default config'}: training until it is diagnosed")
        sick = run_trial(overrides, conf=conf)
        if sick.status == "failed":
            raise Refused(sick.reason)
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


def _check_settings(settings: Mapping[str, Any], conf: Path) -> None:
    """Refuse what a cure cannot work with, before anything is trained."""
    if not settings["monitor"].get("_target_"):
        raise Refused("monitor=off: expected a monitor, whose verdict tells what to cure. Set monitor=default")
    for key, one in (("devices", (1, "auto")), ("strategy", ("auto",)), ("num_nodes", (1,))):
        if (value := settings["trainer"].get(key, one[0])) not in one:
            raise Refused(f"trainer.{key}: a cure trains in one process each; expected {one[0]}; got {value!r}")
    folder = conf / "experiment" / "cured"
    nearest = folder if folder.exists() else folder.parent
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise Refused(f"{short(folder)}: expected a folder that can be written, for the cured experiment; it cannot")


def sick_overrides(settings: Mapping[str, Any]) -> list[str]:
    """What was typed, but for the cure's own keys; with a seed, which all its trainings share."""
    words = [word for word in settings["overrides"] if not word.lstrip("+~").startswith(("cure.", "task_name="))]
    return words if settings["seed"] is not None else [*words, f"seed={secrets.randbelow(2**32)}"]


def _net(settings: dict[str, Any]) -> Net:
    """What remedies depend on; the Trainer may clip without the group ``clip``."""
    from gradvitals.app.outcome import net_of

    net = net_of(settings)
    by_trainer = settings["trainer"].get("gradient_clip_val") is not None
    return replace(net, clip="norm") if by_trainer else net


def remedies_for(done: Cure, settings: dict[str, Any], conf: Path) -> list[Remedy]:
    """What is prescribed, after a range test where the rate may be to blame."""
    net = _net(settings)
    before_any_step = done.sick.verdict == "non_finite" and done.sick.verdict_step == 0  # no rate is to blame
    if done.sick.verdict in BY_RATE and not before_any_step:
        done.usual_lr, done.range_steps, done.range_seconds = range_test(done.overrides, conf=conf)
        log.info(f"range test   {'none' if done.usual_lr is None else f'optimizer.lr={done.usual_lr:.2g}'}")
    return prescribe(str(done.sick.verdict), replace(net, usual_lr=done.usual_lr))


def search(done: Cure, options: Mapping[str, Any], conf: Path) -> None:
    """Try the remedies and confirm the best, until one is cured.

    Args:
        done: what is known so far; takes in all that comes.
        options: the keys of ``cure``.
        conf: the folder of the configs.

    Raises:
        Refused: the length of a full training is not known.
    """
    planned = done.sick.steps_planned
    if planned is None:
        raise Refused("cure: needs to know the full length: set trainer.max_epochs or trainer.max_steps")
    budget = min(max(math.ceil(options["share"] * planned), options["least_steps"]), planned)
    trials = try_all(done, budget, options, conf)
    while done.cured is None and len(done.confirmed) < options["confirmations"]:
        best = _next(done, trials, options["enough"])
        if best is None:
            return
        confirm(done, best, conf)


def _next(done: Cure, trials: Iterator[list[Tried]], enough: float | None) -> Tried | None:
    """The best that is not confirmed yet; more are tried where none of these is good enough."""
    known = {tried.index for tried in done.confirmed}
    while not any(good_enough(tried.trial, enough) for tried in done.tried if tried.index not in known):
        batch = next(trials, [])
        done.tried += batch
        if not batch:
            break
    ranked = rank([tried for tried in done.tried if tried.index not in known])
    return ranked[0] if ranked else None


def good_enough(trial: Trial, enough: float | None) -> bool:
    """Whether a trial has learnt so much that no larger change need be tried."""
    return enough is not None and trial.is_healthy and trial.progress >= enough


def try_all(done: Cure, budget: int, options: Mapping[str, Any], conf: Path) -> Iterator[list[Tried]]:
    """The trials of all remedies, as many at a time as there are workers; a line is logged for each."""
    workers = count_workers(options["workers"], done, budget)
    total, began = len(done.remedies), time.perf_counter()
    log.info(f"remedies     {total}, {budget} of {done.sick.steps_planned} steps each, workers: {workers}")
    for start in range(0, total, workers):
        batch = list(enumerate(done.remedies))[start : start + workers]
        runs = [(with_remedy(done.overrides, remedy.overrides, conf), budget, conf) for _, remedy in batch]
        found = [Tried(i, remedy, trial) for (i, remedy), trial in zip(batch, _run(runs, workers), strict=True)]
        for tried in found:
            left = (time.perf_counter() - began) / (start + len(found)) * (total - start - len(found))
            log.info(f"  {tried.index + 1}/{total}  {tried}: {words(tried.trial)}; the others: at most {left:.0f} s")
        yield found


def count_workers(workers: int | str, done: Cure, budget: int) -> int:
    """How many processes; ``auto``: this one alone where all trials take less time than starting others."""
    from joblib import cpu_count

    if workers != "auto":
        return min(int(workers), len(done.remedies)) or 1
    if done.sick.steps < FEW_STEPS:
        return 1
    most = min(cpu_count(), len(done.remedies))
    alone = len(done.remedies) * budget * done.sick.seconds / max(done.sick.steps, 1)
    return most if most > 1 and alone * (1 - 1 / most) > WORKER_START else 1


def _run(runs: Sequence[tuple[list[str], int, Path]], workers: int) -> list[Trial]:
    """Trials in worker processes with one thread each, or one after the other in this one."""
    if workers == 1:
        return [_try(*run) for run in runs]
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", n_jobs=workers, inner_max_num_threads=1):
        return Parallel()(delayed(_try)(*run, threads=1) for run in runs)


def _try(overrides: list[str], budget: int, conf: Path, threads: int | None = None) -> Trial:
    return run_trial(overrides, max_steps=budget, threads=threads, conf=conf)


def rank(tried: Sequence[Tried]) -> list[Tried]:
    """The most promising first.

    Healthy ones before others. Among them those whose objective is the best or nearly so (an early validation is
    noisy), of these those whose loss is the lowest or nearly so, and of these the smallest change.

    Example:
        >>> def tried(index, score, learnt):
        ...     return Tried(index, Remedy((), "", ""), Trial((), "completed", "healthy", score=score, learnt=learnt))
        >>> scores = [(0.90, 0.3), (0.89, 0.75), (0.91, 0.8), (0.8, 0.9)]
        >>> [found.index for found in rank([tried(i, *both) for i, both in enumerate(scores)])]
        [1, 2, 0, 3]
    """
    left, ranked = list(tried), []
    while left:
        best = _best(left)
        left.remove(best)
        ranked.append(best)
    return ranked


def _best(tried: Sequence[Tried]) -> Tried:
    pool = [t for t in tried if t.trial.is_healthy] or list(tried)
    pool = _near(pool, lambda t: t.trial.score, SAME_SCORE)
    pool = _near(pool, lambda t: t.trial.progress, SAME_LOSS)
    return min(pool, key=lambda t: t.index)


def _near(pool: list[Tried], value: Callable[[Tried], float], margin: float) -> list[Tried]:
    highest = max(map(value, pool))
    return [tried for tried in pool if value(tried) >= highest - margin]


def confirm(done: Cure, best: Tried, conf: Path) -> None:
    """Train the best trial at full length from scratch, and see whether it is cured.

    A trial whose budget was the full length is that training already.
    """
    full, planned = best.trial, done.sick.steps_planned
    if not (full.status == "completed" and full.steps == planned):
        pace = full.seconds / full.steps if full.steps else 0.0
        log.info(f"confirm      {best} at full length, about {pace * (planned or 0):.0f} s")
        best = replace(best, trial=run_trial(full.overrides, conf=conf))
    done.confirmed.append(best)
    if is_cured(done.sick, best.trial):
        done.cured = best
    else:
        log.info(f"not cured    {best}: {words(best.trial)}; the sick run: {_value(done.sick)}")


def is_cured(sick: Trial, full: Trial) -> bool:
    """Whether a full training is healthy to its end and clearly better; see the top of this file.

    Example:
        >>> from gradvitals.results.objective import Objective
        >>> acc = Objective("val/acc", "max")
        >>> sick = Trial((), "stopped", "vanishing", objective=acc, score=0.1)
        >>> is_cured(sick, Trial((), "completed", "healthy", objective=acc, score=0.93))
        True
        >>> is_cured(sick, Trial((), "completed", "healthy", objective=acc, score=0.12))
        False
    """
    if not (full.is_healthy and math.isfinite(full.score)):
        return False
    if not math.isfinite(sick.score) or sick.status == "diverged":
        return True
    if full.objective and full.objective.lower_is_better:
        return full.score - sick.score >= 0.1 * abs(sick.score)
    return full.score - sick.score >= min(CLEARLY, max((1 - sick.score) / 2, 0.0))


def words(trial: Trial) -> str:
    """What came of a training, in a few words."""
    if trial.status == "failed":
        return f"failed ({trial.reason})"
    risen, share = trial.progress < 0, 100 * abs(trial.progress)
    gone = f", {share:.0f} % of the loss gone" if math.isfinite(share) else ""
    gone = f", the loss up by {share:.0f} %" if gone and risen else gone
    ended = "" if trial.status == "completed" else f", {trial.status}"
    return f"{trial.verdict}{ended}, {_value(trial)}{gone}, {_length(trial)}"


def _value(trial: Trial) -> str:
    return f"best {trial.objective} {trial.best:.3g}" if trial.best is not None else "no metric"


def _length(trial: Trial) -> str:
    return f"{trial.steps} steps, {trial.seconds:.1f} s"


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


def name_of(overrides: Sequence[str]) -> str:
    """A file's name made of what was typed, which Hydra takes unquoted.

    Example:
        >>> name_of(["act=sigmoid", "model.depth=12", "paths.logs=elsewhere"])
        'act_sigmoid_model_depth_12'
        >>> name_of(["experiment=vanishing"])
        'vanishing'
    """
    words = [word.removeprefix("experiment=") for word in shown(overrides)]
    return re.sub(r"[^A-Za-z0-9-]+", "_", slug(",".join(words))).strip("_-") or "default"


def write_experiment(done: Cure, name: str, conf: Path) -> Path:
    """Write ``conf/experiment/cured/NAME.yaml``; one that is there is replaced if it cures the same, else NAME_2 ...

    Returns:
        The file.
    """
    assert done.cured is not None
    folder = conf / "experiment" / "cured"
    folder.mkdir(parents=True, exist_ok=True)
    cures = _comment(f"Cures    {train_command(shown(done.overrides))}")
    names = (name if i == 1 else f"{name}_{i}" for i in range(1, 10_000))
    files = (folder / f"{candidate}.yaml" for candidate in names)
    file = next(file for file in files if not file.exists() or cures in file.read_text(encoding="utf-8").splitlines())
    file.write_text(header(done, file.stem, cures) + experiment(done.cured.trial.overrides, conf), encoding="utf-8")
    return file


def shown(overrides: Sequence[str]) -> list[str]:
    """Without what says only where files go."""
    return [word for word in overrides if not word.startswith(("paths.", "hydra."))]


def header(done: Cure, name: str, cures: str) -> str:
    """The comment that opens an experiment: its command, what it shows, outcome, time and source, and what it cures."""
    assert done.cured is not None
    remedy, full, sick = done.cured.remedy, done.cured.trial, done.sick
    lines = [
        "@package _global_",
        train_command([f"experiment=cured/{name}"]),
        f"Shows    the {sick.verdict} net below cured by {done.cured}: {remedy.why}.",
        f"Outcome  {_value(full)} and {full.verdict} at its end; before {_value(sick)}, {sick.evidence}",
        f"Time     {full.seconds:.0f} s",
        f"Source   {remedy.source}; python src/cure.py, at a cost of {done.cost:.1f} full trainings",
    ]
    return "\n".join([*map(_comment, lines), cures, ""])


def _comment(words: str) -> str:
    """A line of comment that no end of a line, in a layer's name or what was typed, can end early."""
    return f"# {visible(' '.join(words.splitlines()))}"


def write(done: Cure, run_dir: Path, file: Path | None, seconds: float) -> None:
    """Write ``cure.json``, ``cure.md`` and, where something was tried at full length, ``cure.png``."""
    from gradvitals.report.cure import page, picture

    found = content(done, file, seconds)
    write_json(run_dir / "cure.json", found)
    (run_dir / "cure.md").write_text(page(found), encoding="utf-8")
    if done.confirmed and done.sick.profiles:
        after = (done.cured or done.confirmed[0]).trial
        titles = (" ".join(shown(done.overrides)), str(done.cured or done.confirmed[0]))
        (run_dir / "cure.png").write_bytes(picture(side(done.sick), side(after), titles))


def side(trial: Trial) -> dict[str, Any]:
    """Of a training, what the picture shows."""
    tags = [tag for tag in dict.fromkeys((str(trial.objective), "val/loss")) if tag in trial.curves]
    return {"profiles": trial.profiles, "curves": {tag: trial.curves[tag] for tag in tags}}


def content(done: Cure, file: Path | None, seconds: float) -> dict[str, Any]:
    """What ``cure.json`` holds."""
    healthy = done.sick.verdict == "healthy"
    effects = {tried.index: effect(tried.trial) for tried in done.tried}
    typed = {tried.index: list(tried.trial.overrides) for tried in done.tried}
    return {
        "outcome": "nothing to cure" if healthy else "cured" if done.cured else "not cured",
        "overrides": shown(done.overrides),
        "verdict": done.sick.verdict,
        "severity": done.sick.severity,
        "step": done.sick.verdict_step,
        "evidence": done.sick.evidence,
        "sick": effect(done.sick),
        "usual_lr": done.usual_lr,
        "remedies": [
            {
                "overrides": list(remedy.overrides),
                "why": remedy.why,
                "source": remedy.source,
                "typed": typed.get(i),
                "effect": effects.get(i),
            }
            for i, remedy in enumerate(done.remedies)
        ],
        "confirmed": [{"overrides": list(t.remedy.overrides), "effect": effect(t.trial)} for t in done.confirmed],
        "cured": list(done.cured.remedy.overrides) if done.cured else None,
        "experiment": f"cured/{file.stem}" if file else None,
        "command": train_command([f"experiment=cured/{file.stem}"]) if file else None,
        "steps_planned": done.sick.steps_planned,
        "steps": done.steps,
        "cost": done.cost,
        "seconds": {**done.seconds, "all": seconds},
    }


def effect(trial: Trial) -> dict[str, Any]:
    """What came of a training, for ``cure.json``."""
    return {
        "status": trial.status,
        "verdict": trial.verdict,
        "reason": trial.reason,
        "objective": trial.objective and trial.objective.tag,
        "best": trial.best,
        "learnt": trial.progress if math.isfinite(trial.progress) else None,
        "metrics": trial.metrics,
        "steps": trial.steps,
        "seconds": trial.seconds,
    }
