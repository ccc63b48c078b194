"""Where configs are: first those of the user's project, and behind them those that the package brings.

The packaged ones are the folder ``conf`` of the checkout that gradvitals is imported from, or ``gradvitals/conf`` of an
installed wheel. The module itself imports nothing heavy.
"""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from pathlib import Path

PROJECT = "GRADVITALS_PROJECT"  # set by the commands: the project whose script was called, for child processes
HERE = Path(__file__).resolve()
INSTALLED, OF_CHECKOUT = HERE.parents[2] / "conf", HERE.parents[4] / "conf"
PACKAGED = INSTALLED if INSTALLED.is_dir() else OF_CHECKOUT


def project_root() -> Path | None:
    """Returns the folder of the project that commands work for; None where there is none.

    It is the one whose script was called, or else the checkout that gradvitals is imported from. The working folder is
    not asked, because it may contain somebody else's run.
    """
    if root := os.environ.get(PROJECT):
        return Path(root)
    return PACKAGED.parent if PACKAGED == OF_CHECKOUT else None


def conf_folder() -> Path:
    """Returns the folder in which configs are looked for first: the project's, or else the packaged one.

    Example:
        >>> (conf_folder() / "train.yaml").is_file()
        True
    """
    root = project_root()
    return root / "conf" if root and (root / "conf").is_dir() else PACKAGED


def conf_folders(first: Path | None = None) -> list[Path]:
    """Returns the folders in which configs are looked for, in this order.

    Args:
        first: the folder of a project; None: :func:`conf_folder`.
    """
    return list(dict.fromkeys((first or conf_folder(), PACKAGED)))


def config_file(name: str, first: Path | None = None) -> Path | None:
    """Returns the file of a config, that of the project where both have one; None where there is none.

    Example:
        >>> config_file("act/elu").name
        'elu.yaml'
    """
    files = (folder / f"{name}.yaml" for folder in conf_folders(first))
    return next((file for file in files if file.is_file()), None)


def is_project(root: Path) -> bool:
    """Returns whether the ``pyproject.toml`` of a folder says that it is a project of gradvitals."""
    file = root / "pyproject.toml"
    if not file.is_file() or b"gradvitals" not in (content := file.read_bytes()):
        return False
    with suppress(ValueError):
        return "gradvitals" in tomllib.loads(content.decode()).get("tool", {})
    return False


def is_of_a_user(conf: Path) -> bool:
    """Returns whether commands may write into a folder of configs: an installed package is left as it is."""
    return conf != INSTALLED
