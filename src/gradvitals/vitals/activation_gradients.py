"""How large the loss's gradient is with respect to what each layer puts out: dL/dh, where vanishing shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.vitals.hooks import on_forward, remove, taken, tensors_in
from gradvitals.vitals.layers import weights
from gradvitals.vitals.norms import norm, total


class ActivationGradients:
    """Catches the L2 norm over batch and features of dL/dh of each layer.

    The work is done while backward has the gradient in hand, so none is held back. What comes in joins as weight
    gradients join: all calls of a layer in one backward pass (shared weights) and all backward passes since the layer's
    gradient was last set to None (accumulation), but not those of another optimizer's loss before that. A gradient of a
    gradient being prepared (``create_graph``, as gradient penalties do) does not count.

    Args:
        layers: the modules to watch. Of tuples and dicts, as recurrent layers return them, every tensor counts.
        spread: of those that are called, layers whose weights lie in parts in several processes. Where their gradients
            are held in between is not to be seen: all that comes in since the last :meth:`take` joins.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> caught = ActivationGradients([net])
        >>> net(torch.ones(4, 2)).mean().backward()  # dL/dh is 1/4 for each of 4 samples
        >>> caught.take()[net]
        tensor(0.5000, dtype=torch.float64)
        >>> caught.close()
    """

    def __init__(self, layers: Iterable[nn.Module] = (), spread: Collection[nn.Module] = ()) -> None:
        self._spread = spread
        self._norms: dict[nn.Module, list[Tensor]] = {}
        self._latest: dict[nn.Module, int] = {}  # the backward pass that last brought something
        self._hooks = on_forward(layers, self.layer_called)

    def layer_called(self, layer: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        """Catch the gradient that will come back to the output."""
        nodes = dict.fromkeys(tensor.grad_fn for tensor in tensors_in(output))
        for node in nodes:  # one for all outputs of a recurrent layer; what works in place later has another
            if node is not None:
                node.register_prehook(partial(self._join, layer))

    def _join(self, layer: nn.Module, gradients: tuple[Tensor | None, ...]) -> None:
        if torch.is_grad_enabled():
            return
        backward = torch._C._current_graph_task_id()
        joins = layer in self._norms and (backward == self._latest[layer] or self._accumulates(layer))
        found = [norm(gradient) for gradient in gradients if gradient is not None]
        if not found:
            return
        self._norms[layer] = [*self._norms[layer], *found] if joins else found
        self._latest[layer] = backward

    def _accumulates(self, layer: nn.Module) -> bool:
        """Whether the layer's weights already hold a gradient, to which backward adds; a frozen layer has no say."""
        trained = [weight for weight in weights(layer) if weight.requires_grad]
        return not trained or trained[0].grad is not None or layer in self._spread

    def take(self, layers: Iterable[nn.Module] | None = None) -> dict[nn.Module, Tensor]:
        """What backward has brought since the last call: layer -> norm, shape ``()``.

        Args:
            layers: of these alone; what the others have stays. None: of all.
        """
        found = taken(self._norms, layers)
        return {layer: total(torch.stack(norms)) if len(norms) > 1 else norms[0] for layer, norms in found.items()}

    def close(self) -> None:
        """Take the hooks off."""
        remove(self._hooks)
        self._norms, self._latest = {}, {}
