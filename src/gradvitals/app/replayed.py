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
SLURM = "timeout_min|cpus_per_task|gpus_per_node|tasks_per_node|mem_gb|nodes|partition|qos|account|constraint|gres"
HARMLESS = re.compile(
    r"\+{0,2}(hydra/(launcher|sweeper)=\w+"
    r"|hydra\.(mode|verbose|sweep\.subdir|job\.chdir)=[^/\\]*"
    r"|hydra\.sweeper\.(?!.*_target_).*"
    rf"|hydra\.launcher\.(n_jobs|batch_size|pre_dispatch|array_parallelism|{SLURM})=[^/\\]*)",
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
