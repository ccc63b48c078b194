"""A sweep's directory belongs to one sweep."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gradvitals.app.check import check_values
from gradvitals.app.errors import Refused
from gradvitals.app.launcher import Launcher
from gradvitals.app.names import quoted

CONFIG = "multirun.yaml"  # as Hydra names it


def claim(sweep_dir: Path, config: DictConfig, resume: bool) -> None:
    """Make the directory this sweep's own by writing its config there, which only one can do.

    Raises:
        Refused: another sweep was first.
    """
    if launcher := Launcher.at_work():
        raise Refused(
            f"a multirun starts the processes of each job itself; {launcher.name} has started "
            f"{launcher.processes * launcher.machines}, of which each would run it all. Type trainer=ddp without "
            f"{launcher.name}, or hydra/launcher=submitit_slurm"
        )
    if resume:
        return
    # A part of the directory's name; the jobs would check it too late.
    check_values({"task_name": config.get("task_name", "train")})
    sweep_dir.mkdir(parents=True, exist_ok=True)
    try:
        with (sweep_dir / CONFIG).open("x", encoding="utf-8") as file:
            file.write(OmegaConf.to_yaml(config))
    except FileExistsError:
        way_out = f"Go on with it by resume_sweep={sweep_dir}, or choose another hydra.sweep.dir"
        raise Refused(f"{sweep_dir} already holds a sweep. {way_out}") from None


def pin_down(config: DictConfig) -> None:
    """Send all jobs to this directory by its absolute path: a cluster's workers may have been started anywhere."""
    config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(Path(config.hydra.sweep.dir).absolute())}")
