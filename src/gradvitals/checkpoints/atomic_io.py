"""Checkpoint files that are whole or not there."""

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
    """Writes a checkpoint beside its place and renames it, so that a kill or a full disk leaves the one before.

    Args:
        errors: takes what cannot be written.

    Attributes:
        failed: the places whose latest write failed; what lies there is older than the training knows.
        instead: checkpoints that are read in place of others.
    """

    def __init__(self, errors: WriteErrors) -> None:
        super().__init__()
        self.failed: set[Path] = set()
        self.instead: dict[str, str] = {}
        self.errors = errors
        self._folders: set[Path] = set()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike, storage_options: Any = None) -> None:
        place = Path(path)
        try:
            self._make_folder(place.parent)
            with written_aside(place) as aside:
                _write(checkpoint, aside)
            self.failed.discard(place)
        except OSError as error:
            self.failed.add(place)
            self.errors.take(short(place), error)

    def load_checkpoint(self, path: str | os.PathLike, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return super().load_checkpoint(self.instead.get(str(path), str(path)), *args, **kwargs)

    def _make_folder(self, folder: Path) -> None:
        if folder in self._folders and not folder.exists():
            self.errors.take(short(folder), OSError("it has vanished, with all that was in it"))
        folder.mkdir(parents=True, exist_ok=True)
        self._folders.add(folder)


def _write(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Torch tells of a full disk by an error of its own, behind which the system's stands."""
    try:
        with path.open("wb") as file:
            torch.save(checkpoint, file)
    except RuntimeError as error:
        raise error.__context__ if isinstance(error.__context__, OSError) else error from None
