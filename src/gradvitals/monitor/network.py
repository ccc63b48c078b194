"""The network under the monitor: its layers, the modules to hook into, and whether it is compiled."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import nn
from torch.optim import Optimizer

from gradvitals.distributed.dtensor import is_sharded
from gradvitals.monitor.collectors.optimizer_step import parameters
from gradvitals.monitor.settings import Settings
from gradvitals.vitals import ForwardOrder, Layer, find_layers, is_activation
from gradvitals.vitals.layers import NORMS


class WatchedNetwork:
    """Finds what there is to watch in a network, and finds it again where an optimizer gained parameters.

    Attributes:
        order: records the first forward pass while the layers' order is not known.
        layers: by depth; empty until the first measured step has shown their order.
        hooked: modules of the layers, norms left out.
        activations: modules that are activations.
        sharded: those of the layers whose weights are.
        is_compiled: whether a part of it is; a loop that sees that a compiled copy runs in its place sets it.
    """

    def __init__(self, module: nn.Module, settings: Settings, optimizers: Sequence[Optimizer]) -> None:
        self.module, self._settings = module, settings
        self.order: ForwardOrder | None = None
        self._parameters: list[int] | None = None
        self.is_compiled = False
        self.refresh(optimizers)

    def refresh(self, optimizers: Sequence[Optimizer]) -> None:
        """Finds the modules, unless the optimizers have the same parameters as before.

        The layers' order is that of the next forward pass.
        """
        known = self._parameters
        self._parameters = [id(parameter) for optimizer in optimizers for parameter in parameters(optimizer)]
        if known == self._parameters:
            return
        self.is_compiled = self.is_compiled or is_compiled(self.module)
        found = [layer.module for layer in self.layers_in()]
        self.hooked = [module for module in found if module is not None and not isinstance(module, NORMS)]
        self.sharded = {m for m in self.hooked if any(map(is_sharded, m.parameters(recurse=False)))}
        self.activations = [module for module in self.module.modules() if is_activation(module)]
        self.layers: list[Layer] = []

    def resume(self, names: Sequence[str]) -> bool:
        """Takes over the order of the layers from a checkpoint; returns whether the network has such layers."""
        known = {layer.name: layer.module for layer in self.layers_in() if layer.module is not None}
        if not known.keys() >= set(names):
            return False
        self.layers = self.layers_in(known[name] for name in names) if names else []
        return True

    def layers_in(self, order: Iterable[nn.Module] = ()) -> list[Layer]:
        called = self.order.modules if self.order else order
        chosen = self._settings
        return find_layers(self.module, called, chosen.norm_layers, chosen.include, chosen.exclude)


def is_compiled(network: nn.Module) -> bool:
    """Whether a part is: by ``torch.compile(module)``, ``module.compile()``, or as a compiled LightningModule."""
    wrapper = getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ())
    own = getattr(network, "_compiler_ctx", None) is not None  # what Lightning leaves of the wrapper
    return own or any(isinstance(m, wrapper) or m._compiled_call_impl is not None for m in network.modules())


def has_compiled() -> bool:
    """Whether ``torch.compile`` has compiled anything in this process."""
    compiler = sys.modules.get("torch._dynamo")
    return compiler is not None and bool(compiler.utils.counters["frames"])


class uncompiled:
    """A context in which compiled code runs eagerly, because it ignores hooks that come and go.

    Several may be left in any order, and one several times.

    Args:
        compiled: whether there is any; if not, this costs nothing.
    """

    _entered: ClassVar[dict[int, Any]] = {}  # the first one has changed the stance

    def __init__(self, compiled: bool) -> None:
        self._compiled = compiled

    def __enter__(self) -> Self:
        if self._compiled:
            held = self._entered
            held[id(self)] = next(iter(held.values())) if held else torch.compiler.set_stance("force_eager")
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()

    def leave(self) -> None:
        stance = self._entered.pop(id(self), None)
        if stance is not None and not self._entered:
            stance.__exit__(None, None, None)


def uncompiled_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that no compiled program includes, such as a hook of an optimizer whose step is compiled.

    torch imports its compiler with the first optimizer; before that there is nothing to keep out of.
    """
    return torch.compiler.disable(function) if "torch._dynamo" in sys.modules else function
