"""Makes sure that all processes of a run train the same config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from omegaconf import DictConfig, OmegaConf

from gradvitals.distributed.collectives import Collectives
from gradvitals.errors import ConfigError, shown
from gradvitals.formatting import shortened

SHOWN = 3  # keys that differ


class SameConfig(Callback):
    """Compares the configs of all processes before anything is trained.

    Args:
        config: as composed. The paths of the run's files are not compared: one process alone writes them.
        ckpt_path: the checkpoint that this process would resume from; the first process's is used in all.

    Raises:
        ConfigError: in each process, with the keys that differ.
    """

    def __init__(self, config: DictConfig, ckpt_path: str | None = None) -> None:
        self._config = _without_paths(config)
        self._ckpt_path = ckpt_path

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        processes = Collectives.of(trainer)
        self._agree_on_checkpoint(trainer, processes.gather(self._ckpt_path))
        first, *others = processes.gather(self._config)
        for rank, config in enumerate(others, start=1):
            if found := [f"{key}={shown(a)} and {shown(b)}" for key, a, b in differences(first, config)]:
                raise ConfigError(
                    f"processes 0 and {rank} of this run have different configs: {shortened(found, SHOWN)}. "
                    "Start all of them with the same command line, conf/ and environment"
                )

    def _agree_on_checkpoint(self, trainer: Trainer, paths: list[str | None]) -> None:
        """Reads the first process's checkpoint: that process alone has compared checksums."""
        if len({path is None for path in paths}) > 1:
            raise ConfigError(
                f"the processes of this run have different checkpoints to resume from: {', '.join(map(str, paths))}. "
                "Start all of them with the same command line, and where all see the same files"
            )
        mine, first = self._ckpt_path, paths[0]
        if mine is not None and first is not None and Path(mine).name != Path(first).name:
            trainer.strategy.checkpoint_io.instead = {mine: str(Path(mine).with_name(Path(first).name))}  # type: ignore[attr-defined]


def differences(a: Any, b: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields the dotted key and both values of each difference between two configs.

    Example:
        >>> list(differences({"optimizer": {"lr": 0.1}, "seed": 0}, {"optimizer": {"lr": 0.2}, "seed": 0}))
        [('optimizer.lr', 0.1, 0.2)]
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in sorted({*a, *b}):
            yield from differences(a.get(name), b.get(name), f"{key}.{name}" if key else name)
    elif repr(a) != repr(b):  # NaN is not equal to itself
        yield key, a, b


def _without_paths(config: DictConfig) -> dict[str, Any]:
    masked = config.copy()
    OmegaConf.set_readonly(masked, False)
    masked.paths.update({"run": "RUN", "logs": "LOGS"})
    masked.update({"ckpt_path": None, "resume": None})  # the first process decides what the run resumes from
    return OmegaConf.to_container(masked, resolve=True)  # type: ignore[return-value]
