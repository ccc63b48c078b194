"""Detects torchrun and SLURM's srun from the environment variables that they set.

This happens before a run directory is made, so the module imports nothing heavy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradvitals.errors import ConfigError, shown

INTERACTIVE = ("bash", "interactive")  # names of interactive SLURM jobs, as Lightning detects them


@dataclass(frozen=True)
class ClusterEnvironment:
    """A launcher that has started all processes of a run."""

    name: str  # torchrun or srun
    processes: int  # on each machine
    machines: int
    rank: int  # of this process among all

    @classmethod
    def at_work(cls) -> ClusterEnvironment | None:
        """Returns the launcher that started this process with others; None if this process is the only one."""
        env = os.environ
        if "TORCHELASTIC_RUN_ID" in env:
            world, here = int(env["WORLD_SIZE"]), int(env["LOCAL_WORLD_SIZE"])
            found = cls("torchrun", here, world // here, int(env["RANK"]))
        elif "SLURM_STEP_ID" in env and env.get("SLURM_JOB_NAME") not in INTERACTIVE:
            machines = int(env.get("SLURM_NNODES", 1))
            found = cls("srun", int(env["SLURM_NTASKS"]) // machines, machines, int(env["SLURM_PROCID"]))
        else:
            return None
        return found if found.processes * found.machines > 1 else None

    def place(self, trainer: Mapping[str, Any], typed: list[str]) -> dict[str, Any]:
        """Returns a Trainer's settings with the numbers of processes and machines that were started.

        Raises:
            ConfigError: the user typed other numbers.
        """
        for key, there_are in (("devices", self.processes), ("num_nodes", self.machines)):
            wanted = len(trainer[key]) if isinstance(trainer[key], list) else trainer[key]
            if f"trainer.{key}" in typed and wanted not in (there_are, "auto"):
                what = "processes on each machine" if key == "devices" else "machines"
                raise ConfigError(
                    f"trainer.{key}: {self.name} has started {there_are} {what}; got {shown(trainer[key])}. "
                    f"Leave trainer.{key} out"
                )
        return {**trainer, "devices": self.processes, "num_nodes": self.machines}


def rank() -> int:
    """Returns the rank of this process in its run; 0 for a single process."""
    if launcher := ClusterEnvironment.at_work():
        return launcher.rank
    # Callers only need to know whether it is 0.
    return int(os.environ.get("LOCAL_RANK", 0)) or int(os.environ.get("NODE_RANK", 0))


def is_first_process() -> bool:
    """Returns whether this process is the one of its run that makes directories and writes files."""
    return rank() == 0
