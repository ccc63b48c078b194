"""All processes of a run train one and the same config, or none trains at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from omegaconf import DictConfig, OmegaConf

from gradvitals.distributed.collectives import Collectives
from gradvitals.errors import ConfigError, shown

SHOWN = 3  # keys that differ


class SameConfig(Callback):
    """Compares a hash of the config between processes before anything is trained.

    Args:
        config: as composed. Where the run's files go is left out: one process alone writes them.
        ckpt_path: the checkpoint that this process would continue from; the first process's is taken in all.

    Raises:
        Refused: in each process, with the keys that differ.
    """

    def __init__(self, config: DictConfig, ckpt_path: str | None = None) -> None:
        self._config = _without_place(config)
        self._ckpt_path = ckpt_path

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        processes = Collectives.of(trainer)
        self._agree_on_checkpoint(trainer, processes.gather(self._ckpt_path))
        if len(set(processes.gather(digest(self._config)))) == 1:
            return
        configs = processes.gather(self._config)
        rank, other = next((rank, config) for rank, config in enumerate(configs) if config != configs[0])
        found = [f"{key}={shown(a)} and {shown(b)}" for key, a, b in differences(configs[0], other)]
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ConfigError(
            f"processes 0 and {rank} of this run were given other configs: {', '.join(found[:SHOWN])}{more}. Start all "
            "of them with the same command line, conf/ and environment"
        )

    def _agree_on_checkpoint(self, trainer: Trainer, paths: list[str | None]) -> None:
        """The first process alone has compared the checksums of the one that it chose."""
        if len({path is None for path in paths}) > 1:
            raise ConfigError(
                f"the processes of this run were given other checkpoints to continue from: {', '.join(map(str, paths))}"
                ". Start all of them with the same command line, and where all see the same files"
            )
        mine, first = self._ckpt_path, paths[0]
        if mine is not None and first is not None and Path(mine).name != Path(first).name:
            trainer.strategy.checkpoint_io.instead = {mine: str(Path(mine).with_name(Path(first).name))}  # type: ignore[attr-defined]


def digest(config: Mapping[str, Any]) -> str:
    """A hash of plain values, the same in each process and on each machine.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}), digest({"a": 1}) == digest({"a": 2})
        (True, False)
    """
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()


def differences(a: Any, b: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted key and both values of what differs.

    Example:
        >>> list(differences({"optimizer": {"lr": 0.1}, "seed": 0}, {"optimizer": {"lr": 0.2}, "seed": 0}))
        [('optimizer.lr', 0.1, 0.2)]
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in sorted({*a, *b}):
            yield from differences(a.get(name), b.get(name), f"{key}.{name}" if key else name)
    elif a != b:
        yield key, a, b


def _without_place(config: DictConfig) -> dict[str, Any]:
    masked = config.copy()
    OmegaConf.set_readonly(masked, False)
    for name, here in (("run", "RUN"), ("logs", "LOGS")):
        OmegaConf.update(masked, f"paths.{name}", here)
    masked.update({"ckpt_path": None, "resume": None})  # how a job goes on is the first process's to find out
    return OmegaConf.to_container(masked, resolve=True)  # type: ignore[return-value]
