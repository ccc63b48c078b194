"""Names directories by what was typed and when, and makes each of them once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.overrides import slug

RESOLVER = "gradvitals.slug"


def register_names() -> None:
    """Registers the resolver of ``conf/train.yaml`` that names directories by the overrides."""
    OmegaConf.register_new_resolver(RESOLVER, _slug, replace=True)


def is_named_by_overrides(section: DictConfig) -> bool:
    """Returns whether ``dir`` of ``hydra.run`` or ``hydra.sweep`` is a name made of overrides, and not a typed one."""
    raw: Any = OmegaConf.to_container(section, resolve=False)
    return f"${{{RESOLVER}:" in str(raw["dir"])


def make_new(folder: Path) -> Path:
    """Makes a directory that did not exist, of this name or with ``-2``, ``-3`` ... behind it, and returns it.

    Of several processes that make the same one at once, each gets its own.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    return next(filter(_is_made, candidates(folder)))


def _is_made(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def candidates(folder: Path) -> Iterator[Path]:
    """Yields a directory's name, then the same with ``-2``, ``-3`` ... behind it.

    Example:
        >>> names = candidates(Path("runs/act-elu_20261129-163708"))
        >>> [next(names).name for _ in range(2)]
        ['act-elu_20261129-163708', 'act-elu_20261129-163708-2']
    """
    yield folder
    yield from (folder.with_name(f"{folder.name}-{number}") for number in count(2))


def _slug(overrides: Any) -> str:
    """As they were typed: an interpolation in one of them need not be resolved for a name."""
    raw: Any = OmegaConf.to_container(overrides, resolve=False)
    return slug(raw)
