"""What started this process beside others of the same run: torchrun, srun, or the run's first process itself.

Read from the environment, without importing anything heavy: it is asked before a run directory is made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradvitals.errors import ConfigError, shown

INTERACTIVE = ("bash", "interactive")  # names of SLURM jobs in which people type, as Lightning has them


@dataclass(frozen=True)
class ClusterEnvironment:
    """One that has started all processes of a run.

    Attributes:
        name: as it is typed.
        processes: on each machine.
        machines: how many.
        rank: of this process, among all.
    """

    name: str
    processes: int
    machines: int
    rank: int

    @classmethod
    def at_work(cls) -> ClusterEnvironment | None:
        """The one that started this process with others; None where there is none, or just one process."""
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
        """A Trainer's settings with the processes that there are.

        Raises:
            Refused: other numbers of them were typed.
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
    """Of this process among those of its run; 0 where it is alone."""
    if launcher := ClusterEnvironment.at_work():
        return launcher.rank
    return int(os.environ.get("LOCAL_RANK", 0)) or int(os.environ.get("NODE_RANK", 0))  # more than 0 is all that counts


def is_first_process() -> bool:
    """Whether this process writes; the others of its run make no directory and write no file."""
    return rank() == 0
