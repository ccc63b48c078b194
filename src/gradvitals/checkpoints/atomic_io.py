"""Writes checkpoint files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from gradvitals.formatting import short
from gradvitals.loggers.write_errors import WriteErrors
from gradvitals.results.files import written_aside


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its path and renames it, so that a kill or a full disk keeps the one before.

    Args:
        errors: receives the errors of writing.

    Attributes:
        failed: the paths whose latest write failed; a file there is older than Lightning assumes.
        instead: path -> the checkpoint that is read in its place.
    """

    def __init__(self, errors: WriteErrors) -> None:
        super().__init__()
        self.failed: set[Path] = set()
        self.instead: dict[str, str] = {}
        self.errors = errors
        self._folders: set[Path] = set()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike, storage_options: Any = None) -> None:
        target = Path(path)
        try:
            self._make_folder(target.parent)
            with written_aside(target) as aside:
                _write(checkpoint, aside)
            self.failed.discard(target)
        except OSError as error:
            self.failed.add(target)
            self.errors.take(short(target), error)

    def load_checkpoint(self, path: str | os.PathLike, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return super().load_checkpoint(self.instead.get(str(path), str(path)), *args, **kwargs)

    def _make_folder(self, folder: Path) -> None:
        if folder in self._folders and not folder.exists():
            self.errors.take(short(folder), OSError("it was removed, with all its files"))
        folder.mkdir(parents=True, exist_ok=True)
        self._folders.add(folder)


def _write(checkpoint: Mapping[str, Any], path: Path) -> None:
    try:
        with path.open("wb") as file:
            torch.save(checkpoint, file)
    except RuntimeError as error:  # torch raises it on a full disk, from the system's error
        raise error.__context__ if isinstance(error.__context__, OSError) else error from None
