"""FSDP2 as a Lightning strategy whose checkpoints are one ordinary file, which any number of devices can load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning.fabric.utilities.optimizer import _optimizer_to_device
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch.optim import Optimizer

from gradvitals.distributed.sharding import gathered, sharded_like


class Sharded(ModelParallelStrategy):
    """Trains with FSDP2 over all processes of all machines, on GPUs or, with gloo, on CPUs.

    A module shards itself in its ``configure_model`` (:func:`gradvitals.distributed.sharding.shard`).

    Lightning's own strategy also writes one file, but it numbers the parameters differently than an optimizer in one
    process does, steps an optimizer without state (SGD) in order to save it, and cannot load what that one saved.

    Args:
        process_group_backend: ``nccl`` or ``gloo``; None selects the one for the device.
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
        # Lightning does not apply it here; it must happen before FSDP2 changes the layers' classes.
        if self._layer_sync:
            self._layer_sync.apply(self.lightning_module)  # type: ignore[arg-type]

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    # Saving: gathering is a collective call, and the first process keeps the result.

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return _gathered(self.lightning_module.state_dict(), self.is_global_zero)  # type: ignore[union-attr]

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        unwrapped = getattr(optimizer, "optimizer", optimizer)  # out of Lightning's wrapper
        return _gathered(unwrapped.state_dict(), self.is_global_zero)

    # Loading: every process reads the file and keeps its shards.

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        safe = True if weights_only is None else weights_only  # Lightning's strategy ignores this argument
        return Strategy.load_checkpoint(self, checkpoint_path, safe)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        module: Any = self.lightning_module
        own = module.state_dict()
        state = {name: sharded_like(value, own.get(name)) for name, value in checkpoint["state_dict"].items()}
        module.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(_sharded(state, optimizer))
            _optimizer_to_device(optimizer, self.root_device)

    # Evaluating: all processes use the running statistics of the first one, which a checkpoint contains.

    def on_validation_start(self) -> None:
        for buffer in self.lightning_module.buffers():  # type: ignore[union-attr]
            dist.broadcast(buffer, src=0)

    on_test_start = on_validation_start


def _gathered(state: Any, keep: bool) -> Any:
    if isinstance(state, Mapping):
        return {key: _gathered(value, keep) for key, value in state.items()}
    return gathered(state, keep)


def _sharded(state: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    parameter_of = dict(zip(numbers, parameters, strict=True))
    shards = {
        number: {name: sharded_like(value, parameter_of[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    # Whether kernels are fused is not taken from the file: one process may fuse them where sharded weights forbid it.
    groups = [
        saved | {key: own[key] for key in ("fused", "foreach") if key in own}
        for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    return {"state": shards, "param_groups": groups}
