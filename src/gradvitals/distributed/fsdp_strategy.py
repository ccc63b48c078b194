"""Weights in parts on many devices, and checkpoints as everywhere: one file, which any number of devices reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning.fabric.utilities.optimizer import _optimizer_to_device
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch.optim import Optimizer

from gradvitals.distributed.sharding import like, whole


class Sharded(ModelParallelStrategy):
    """FSDP2 over all processes of all machines, on GPUs or, with gloo, on processors.

    A module cuts itself into parts in its ``configure_model`` (:func:`gradvitals.distributed.sharding.shard`).

    Lightning's own writes such a file too, but gives parameters other numbers than an optimizer in one process does,
    steps an optimizer that has no state (SGD) in order to save it, and cannot read what that one wrote.

    Args:
        process_group_backend: ``nccl``, ``gloo``; None: the one for the device.
    """

    def __init__(self, process_group_backend: str | None = None) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
            process_group_backend=process_group_backend,
        )

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()
        if self._layer_sync:  # Lightning's own passes over it; and layers that lie in parts are of another class
            self._layer_sync.apply(self.lightning_module)  # type: ignore[arg-type]

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    # Saving: every process helps, the first one keeps

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return _whole(self.lightning_module.state_dict(), self.is_global_zero)  # type: ignore[union-attr]

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        own = getattr(optimizer, "optimizer", optimizer)  # in Lightning's wrapper
        return _whole(own.state_dict(), self.is_global_zero)

    # Loading: every process reads the file and takes its parts

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        safe = True if weights_only is None else weights_only  # Lightning forgets to hand on what it was told
        return Strategy.load_checkpoint(self, checkpoint_path, safe)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        module: Any = self.lightning_module
        mine = module.state_dict()
        state = {name: like(value, mine.get(name)) for name, value in checkpoint["state_dict"].items()}
        module.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(_cut(state, optimizer))
            _optimizer_to_device(optimizer, self.root_device)

    # Evaluating: running statistics are those of the first process, which a checkpoint holds

    def on_validation_start(self) -> None:
        self._agree_on_buffers()

    def on_test_start(self) -> None:
        self._agree_on_buffers()

    def _agree_on_buffers(self) -> None:
        for buffer in self.lightning_module.buffers():  # type: ignore[union-attr]
            dist.broadcast(buffer, src=0)


def _whole(state: Any, keep: bool) -> Any:
    if isinstance(state, Mapping):
        return {key: _whole(value, keep) for key, value in state.items()}
    return whole(state, keep)


def _cut(state: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """An optimizer's whole state as this process's parts of it; what is not of a weight's shape is in one piece."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    of = dict(zip(numbers, parameters, strict=True))
    parts = {
        number: {name: like(value, of[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {"state": parts, "param_groups": _own_kernels(state["param_groups"], optimizer)}


def _own_kernels(groups: list[dict[str, Any]], optimizer: Optimizer) -> list[dict[str, Any]]:
    """Saved settings, but the optimizer's own way of working: one process fuses what weights in parts may not."""
    ways = ("fused", "foreach")
    return [
        group | {way: own[way] for way in ways if way in own}
        for group, own in zip(groups, optimizer.param_groups, strict=True)
    ]
