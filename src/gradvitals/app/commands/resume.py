"""``resume=latest``, ``resume=RUN_DIR``, ``resume_sweep=DIR``, ``join_sweep=DIR``: a command again, in its directory.

The command line is rewritten before Hydra starts, because Hydra writes the run directory before the job begins.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from gradvitals.app.config.compose import compose
from gradvitals.app.config.overrides import Overrides, key_of, quoted
from gradvitals.app.config.typed_paths import typed_path
from gradvitals.checkpoints.locate import newest
from gradvitals.distributed.cluster_environment import ClusterEnvironment
from gradvitals.errors import ConfigError
from gradvitals.formatting import in_shell
from gradvitals.results.result import Result
from gradvitals.results.run_names import began, closest_runs

# Keys that may be typed beside resume: a longer fit with its schedule, and on how many devices.
LENGTHS = ("trainer.max_epochs", "trainer.max_steps")
SCHEDULE = "scheduler.on_resume"
PLACE = ("trainer.devices", "trainer.num_nodes")
CHANGED = "data.changed"  # whether a table may be another one than it was; accepted once, and not for later changes
BESIDE = (*LENGTHS, SCHEDULE, "trainer", *PLACE, "data.batch_size", CHANGED)
WHERE = ("paths.logs", "task_name")  # and beside resume=latest: where the runs are
# Keys that may be typed beside resume_sweep and join_sweep: where jobs run, and how many more a search tries.
LAUNCHER = "hydra.launcher."
BESIDE_SWEEP = ("hydra/launcher", LAUNCHER, "hydra.sweeper.n_trials", "hydra.sweeper.n_jobs", CHANGED)
SWEEP_RESUMED_BY = ("hydra.sweep.dir", "hydra.sweeper.resume", "hydra.sweeper.join")


class AlreadyCompleted(Exception):
    """The run has nothing left to do."""


def rewrite(argv: list[str]) -> list[str]:
    """Returns the command line that resumes a run or a sweep; the same one where neither is typed.

    Raises:
        ConfigError: no such run, no whole checkpoint, or something typed beside that a resumed run cannot change.
        AlreadyCompleted: the run has ended and no longer fit was asked for.
    """
    typed = Overrides(argv[1:])
    for key in ("resume_sweep", "join_sweep"):
        if (sweep := _typed_path(typed, key)) is not None:
            return [argv[0], *_resumed_sweep(typed.without(key), key, Path(sweep))]
    if (resume := _typed_path(typed, "resume")) is not None:
        return [argv[0], *_resumed_run(typed.without("resume"), resume)]
    return argv


def _typed_path(typed: Overrides, key: str) -> str | None:
    """As it was typed, because Hydra would read the comma in a directory's name as a sweep."""
    value = typed.text(key)
    return None if value in (None, "", "null") else typed_path(str(value))


def _resumed_run(typed: Overrides, resume: str) -> list[str]:
    where = WHERE if resume == "latest" else ()
    beside = typed.without(*where)
    if others := [override for override in beside if key_of(override) not in BESIDE or override.startswith("~")]:
        allowed = ", ".join((*BESIDE, *where))
        raise ConfigError(
            f"resume={resume}: a run continues as it was; only {allowed} may be typed beside; got {others[0]}"
        )
    run_dir = _latest(typed) if resume == "latest" else Path(resume)
    saved = run_dir / ".hydra" / "overrides.yaml"
    if not saved.is_file():
        close = "" if run_dir.is_dir() else closest_runs(run_dir)
        none = f"{run_dir} contains no .hydra/overrides.yaml"
        raise ConfigError(f"resume={resume}: expected a run directory; {none}{close}")
    _refuse_completed(run_dir, beside)
    if not saved.read_text(encoding="utf-8").strip():
        raise ConfigError(f"{saved} is empty: the run was killed while it was being written. Start it anew")
    overrides, checkpoint = Overrides.replay(OmegaConf.load(saved), saved), newest(run_dir)
    overrides = overrides.without("resume", CHANGED, *beside.keys, *(["ckpt_path"] if checkpoint else []))
    overrides = overrides.without(*(PLACE if ClusterEnvironment.at_work() else ()))  # the launcher decides them
    begin = [f"ckpt_path={quoted(checkpoint)}"] if checkpoint else []  # killed before the first one: from the start
    here = [f"resume={quoted(run_dir)}", f"hydra.run.dir={quoted(run_dir)}"]
    unchanged = [] if beside else ["hydra.output_subdir=null"]  # a kill cannot tear a file that is not written
    return [*overrides, *beside, *begin, *here, *unchanged]


def _resumed_sweep(typed: Overrides, key: str, sweep_dir: Path) -> list[str]:
    """The sweeper leaves out the jobs that have ended, or that others run."""
    beside = typed.without("-m", "--multirun")
    keys = {override: key_of(override) for override in beside}
    if others := [word for word, name in keys.items() if name not in BESIDE_SWEEP and not name.startswith(LAUNCHER)]:
        allowed = ", ".join(name.rstrip(".") for name in BESIDE_SWEEP)
        raise ConfigError(f"{key}: a sweep continues as it was; only {allowed} may be typed beside; got {others[0]}")
    saved = sweep_dir / "multirun.yaml"
    if not saved.is_file():
        raise ConfigError(f"{key}={sweep_dir}: expected a sweep's directory; there is no {saved}")
    hydra = OmegaConf.load(saved).hydra
    if key == "join_sweep" and "n_trials" not in hydra.sweeper:
        raise ConfigError(
            f"join_sweep={sweep_dir}: expected a search, whose workers choose trial by trial; the jobs of a grid are"
            " all given out by its first command. To run one on many machines: hydra/launcher=ray or submitit_slurm"
        )
    overrides = Overrides(map(str, [*hydra.overrides.task, *hydra.overrides.hydra]))
    kept = Overrides.replay(overrides.without(*SWEEP_RESUMED_BY, *beside.keys), saved)
    how = f"hydra.sweeper.{key.removesuffix('_sweep')}=true"
    return [*kept, *beside, f"hydra.sweep.dir={quoted(sweep_dir)}", how]


def _latest(typed: Overrides) -> Path:
    config = compose([]).config  # conf/local may set them
    logs, task_name = (str(typed.value(key) or OmegaConf.select(config, key)) for key in WHERE)
    folder = Path(logs) / task_name / "runs"
    runs = [path for path in folder.glob("*") if (path / ".hydra").is_dir()]
    if not runs:
        raise ConfigError(
            f"resume=latest: expected a run under {folder}; there is none in {Path.cwd()}. Runs of another folder: set "
            f"{' or '.join(WHERE)} as they were"
        )
    return max(runs, key=began)


def _refuse_completed(run_dir: Path, beside: Overrides) -> None:
    result = Result.read(run_dir)
    if not result.status.is_over:
        return
    reached = dict(zip(LENGTHS, (result.epochs or 0, result.steps or 0), strict=True))
    binding = {key: limit for key, limit in _limits(run_dir, beside).items() if limit <= reached[key]}
    if not binding and any(beside.text(key) is not None for key in LENGTHS):
        return
    ended = "is complete" if result.status == "completed" else f"has ended: {result.status}"
    reason = f" ({', '.join(f'{key}={limit}' for key, limit in binding.items())})" if binding else ""
    longer = " ".join(f"{key}=N" for key in binding or LENGTHS[:1])
    raise AlreadyCompleted(f"{run_dir} {ended}{reason}. To train longer: resume={in_shell(run_dir)} {longer}")


def _limits(run_dir: Path, beside: Overrides) -> dict[str, int]:
    """The limits of the fit to come: as they were saved, or as they were typed; a wrong value is refused later."""
    saved = run_dir / ".hydra" / "config.yaml"
    config = OmegaConf.load(saved) if saved.is_file() else OmegaConf.create()
    limits = {key: beside.text(key) or str(OmegaConf.select(config, key)) for key in LENGTHS}
    return {key: int(limit) for key, limit in limits.items() if limit.isdecimal()}
