"""Norms of the gradient with respect to each layer's output, dL/dh, which show whether gradients vanish."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn

from gradvitals.vitals.hooks import Wrap, on_forward, remove, taken, tensors_in, unchanged, weak
from gradvitals.vitals.layers import weights
from gradvitals.vitals.norms import norm, total


class ActivationGradients:
    """Measures the L2 norm, over batch and features, of dL/dh of each layer.

    The norm is computed during backward, so no gradient is stored. Norms are joined as weight gradients are: over all
    calls of a layer in one backward pass (shared weights) and over all backward passes since the layer's gradient was
    last None (accumulation), but not over earlier passes of another optimizer's loss. Passes with ``create_graph``, as
    for gradient penalties, do not count.

    Args:
        layers: the modules to watch. If they return tuples or dicts, as recurrent layers do, every tensor counts.
        sharded: the layers with sharded weights. Where FSDP accumulates their gradients cannot be observed, so all
            norms since the last :meth:`take` are joined.
        wrap: of hooks.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> caught = ActivationGradients([net])
        >>> net(torch.ones(4, 2)).mean().backward()  # dL/dh is 1/4 for each of 4 samples
        >>> caught.take()[net]
        tensor(0.5000, dtype=torch.float64)
        >>> caught.close()
    """

    def __init__(
        self,
        layers: Iterable[nn.Module] = (),
        sharded: Collection[nn.Module] = (),
        wrap: Wrap = unchanged,
    ) -> None:
        self._sharded = sharded
        self._norms: dict[nn.Module, list[Tensor]] = {}
        self._latest: dict[nn.Module, int] = {}  # the latest backward pass with a gradient
        self._guarded = wrap(self._join)
        self._arrives = weak(self._arrived)  # Python's garbage collector sees no cycle that leads through the graph
        self._hooks = on_forward(layers, wrap(self.layer_called))

    def layer_called(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        nodes = dict.fromkeys(tensor.grad_fn for tensor in tensors_in(output))
        for node in nodes:  # all outputs of a recurrent layer have the same; in-place operations have their own
            if node is not None:
                node.register_prehook(partial(self._arrives, ref(layer)))

    def _arrived(self, layer: ref[nn.Module], gradients: tuple[Tensor | None, ...]) -> None:
        if (known := layer()) is not None:
            self._guarded(known, gradients)

    def _join(self, layer: nn.Module, gradients: tuple[Tensor | None, ...]) -> None:
        if torch.is_grad_enabled():
            return
        backward = torch._C._current_graph_task_id()
        joins = layer in self._norms and (backward == self._latest[layer] or accumulates(layer, self._sharded))
        found = [norm(gradient) for gradient in gradients if gradient is not None]
        if not found:
            return
        self._norms[layer] = [*self._norms[layer], *found] if joins else found
        self._latest[layer] = backward

    def take(self, layers: Iterable[nn.Module] | None = None) -> dict[nn.Module, Tensor]:
        """Returns and clears the norms of some layers, or all, since the last call: layer -> norm, shape ``()``."""
        found = taken(self._norms, layers)
        return {layer: total(torch.stack(norms)) if len(norms) > 1 else norms[0] for layer, norms in found.items()}

    def close(self) -> None:
        """Removes the hooks, and forgets what was not taken."""
        remove(self._hooks)
        self._norms, self._latest = {}, {}


def accumulates(layer: nn.Module, sharded: Collection[nn.Module] = ()) -> bool:
    """Returns whether a layer's weights have a gradient, to which backward adds; True for frozen and sharded weights.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> accumulates(layer), layer(torch.ones(1, 2)).sum().backward(), accumulates(layer)
        (False, None, True)
    """
    trained = [weight for weight in weights(layer) if weight.requires_grad]
    return not trained or trained[0].grad is not None or layer in sharded
