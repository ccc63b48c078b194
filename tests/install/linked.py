"""An environment with exactly what a wheel asks for: links to what is installed here, so that nothing is downloaded or copied."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def make(folder: Path, wheel: Path, extras: Iterable[str] = ()) -> Path:
    """Makes an environment in a folder, with the wheel unpacked and its requirements linked; returns its Python."""
    call = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(call, check=True, capture_output=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in sorted(needed(site, extras)):
        link(metadata.distribution(name), site)
    subprocess.run([folder / "bin/python", "-m", "compileall", "-q", site / "gradvitals"], check=True)  # as pip does
    return folder / "bin/python"


def needed(site: Path, extras: Iterable[str]) -> set[str]:
    """Names of all distributions that the wheel in a folder needs in turn, on this machine."""
    (own,) = metadata.distributions(name="gradvitals", path=[str(site)])
    name = canonicalize_name(own.name)
    waiting, found = [(own, "")] + [(own, extra) for extra in extras], set()
    while waiting:
        distribution, extra = waiting.pop()
        if (distribution.name, extra) in found:
            continue
        found.add((distribution.name, extra))
        for requirement in map(Requirement, distribution.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                is_own = canonicalize_name(requirement.name) == name
                other = own if is_own else metadata.distribution(requirement.name)
                waiting += [(other, asked) for asked in ("", *requirement.extras)]
    return {found_name for found_name, _ in found} - {own.name}


def link(distribution: metadata.Distribution, site: Path) -> None:
    """Links the packages and modules of an installed distribution into ``site-packages``.

    A folder without ``__init__.py`` may be shared by several distributions, as ``google`` is: its content is linked.
    """
    children: dict[PurePosixPath, set[str]] = defaultdict(set)
    for file in distribution.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            for parent in list(file.parents)[:-1]:
                children[parent.parent].add(parent.name)
            children[PurePosixPath(file.parent)].add(file.name)
    source = Path(str(distribution.locate_file("")))

    def fill(folder: PurePosixPath) -> None:
        for name in sorted(children[folder]):
            original, target = source / folder / name, site / folder / name
            is_shared = original.is_dir() and not (original / "__init__.py").exists()
            if is_shared and not name.endswith((".dist-info", ".libs")):
                target.mkdir(exist_ok=True)
                fill(folder / name)
            elif not target.is_symlink():
                target.symlink_to(original)

    fill(PurePosixPath("."))
