"""What a saved command line may say again: its task's overrides, and of Hydra's own keys those that run no code.

The file lies in a directory that may come from somebody else. What the user types is the user's choice; what such a
directory says is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from gradvitals.app.errors import Refused

OVERRIDE = re.compile(r"(\+\+|\+|~)?[A-Za-z_][\w./@:$-]*(=.*)?", re.DOTALL)  # and no flag, such as --config-dir
SLURM = (  # not setup, additional_parameters and submitit_folder: they run commands, or read pickles
    "timeout_min|signal_delay_s|max_num_timeout|nodes|tasks_per_node|gpus_per_node|gpus_per_task|cpus_per_task"
    "|cpus_per_gpu|mem_gb|mem_per_gpu|mem_per_cpu|partition|qos|account|constraint|exclude|gres|stderr_to_stdout"
)
# A cluster's address is none of these unless it is this machine's: what comes back from there is unpickled here.
RAY = r"ray\.(init\.(num_cpus|num_gpus|include_dashboard|logging_level)|remote\.(num_cpus|num_gpus|max_retries))"
HARMLESS = re.compile(
    r"\+{0,2}(hydra/(launcher|sweeper)=\w+"
    r"|hydra\.(mode|verbose|sweep\.subdir|job\.chdir)=[^/\\]*"
    r"|hydra\.sweeper\.(?!.*_target_).*"
    r"|hydra\.launcher\.ray\.init\.address=(null|auto)"
    rf"|hydra\.launcher\.(n_jobs|batch_size|pre_dispatch|array_parallelism|{SLURM}|{RAY})=[^/\\]*)",
    re.DOTALL,
)


def replayed(words: Iterable[object], source: Path) -> list[str]:
    """The saved words.

    Args:
        words: as saved.
        source: the file that they come from, for the error.

    Raises:
        Refused: a flag, or a key of Hydra's that decides what code runs.

    Example:
        >>> replayed(["act=elu", "hydra.launcher.n_jobs=2"], Path("multirun.yaml"))
        ['act=elu', 'hydra.launcher.n_jobs=2']
        >>> replayed(["hydra.callbacks.x._target_=os.system"], Path("overrides.yaml"))
        Traceback (most recent call last):
        ...
        gradvitals.app.errors.Refused: overrides.yaml: expected settings of a run; got hydra.callbacks.x._target_=os.system
    """  # noqa: E501
    found = [str(word) for word in words]
    for word in found:
        is_hydras = word.lstrip("+~").startswith(("hydra.", "hydra/", "hydra@", "hydra="))
        if not OVERRIDE.fullmatch(word) or (is_hydras and not HARMLESS.fullmatch(word)):
            raise Refused(f"{source}: expected settings of a run; got {word}")
    return found
