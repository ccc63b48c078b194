"""Versions of packages and the git commit that a result comes from."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

PACKAGES = ("gradvitals", "torch", "torchvision", "lightning", "hydra-core")


@cache
def versions() -> dict[str, str]:
    """Returns the versions of the packages that determine the numbers."""
    from importlib.metadata import PackageNotFoundError, version  # a tenth of the time that --cfg takes

    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Returns the commit of the working folder, with ``+`` where files differ from it; None outside a repository.

    A process asks git once: what it has imported is the code of then, also in the later jobs of a sweep.
    """
    return _described(Path.cwd())


@cache
def _described(folder: Path) -> str | None:
    try:
        call = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
