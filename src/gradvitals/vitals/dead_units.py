"""Which units never return anything but zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gradvitals.vitals.activations import Attribution
from gradvitals.vitals.hooks import on_forward, remove
from gradvitals.vitals.norms import local

NEVER_NEGATIVE = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Softplus)
MANY = 32  # batches that are kept before they are joined


def _largest(peaks: list[Tensor]) -> Tensor:
    device = peaks[-1].device  # those of a checkpoint came from the host
    return peaks[0] if len(peaks) == 1 else torch.stack([peak.to(device) for peak in peaks]).amax(0)


class DeadUnits:
    """Which units never return anything but zero.

    A unit is a feature of an activation's output: the second axis behind a convolution, else the last one. It is dead
    when it was zero for each sample; among fewer than a thousand that says little.

    Attributes:
        samples: how many samples were seen behind the layer that saw the fewest.

    Example:
        >>> net = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
        >>> _ = net[0].weight.data.copy_(torch.tensor([[1.0], [0.0]])), net[0].bias.data.fill_(-0.1)
        >>> watched = DeadUnits([net[0]], [net[1]])
        >>> _ = net(torch.ones(1000, 1)); watched.samples
        1000
        >>> (watched.peaks[net[0]] == 0).tolist()
        [False, True]
        >>> watched.pause()
    """

    def __init__(self, layers: Iterable[nn.Module], activations: Iterable[nn.Module]) -> None:
        self._seen: dict[nn.Module, list[Tensor]] = {}
        self._samples: dict[nn.Module, int] = {}
        self._watched = list(layers), list(activations)
        self._hooks: list[RemovableHandle] = []
        self.resume()

    @property
    def peaks(self) -> dict[nn.Module, Tensor]:
        """The largest size of each unit so far, ``(units,)``."""
        return {layer: _largest(seen) for layer, seen in self._seen.items()}

    @property
    def samples(self) -> int:
        return min(self._samples.values(), default=0)

    def _record(self, layer: nn.Module, activation: nn.Module, output: Tensor) -> None:
        a = local(output.detach())
        if not a.numel():
            return
        unit = 1 if isinstance(layer, nn.modules.conv._ConvNd) else a.ndim - 1
        others = [axis for axis in range(a.ndim) if axis != unit]
        size = a if isinstance(activation, NEVER_NEGATIVE) else a.abs()
        peak, seen = size.amax(others) if others else size, self._seen.setdefault(layer, [])
        if seen and seen[0].shape != peak.shape:
            return  # another activation behind the same layer
        self._seen[layer] = [*seen, peak] if len(seen) < MANY else [_largest([*seen, peak])]
        self._samples[layer] = self._samples.get(layer, 0) + (len(a) if a.ndim > 1 else 1)

    def state_dict(self) -> dict[int, tuple[Tensor, int]]:
        """Number of the layer -> what was seen behind it, for a checkpoint."""
        place = {layer: number for number, layer in enumerate(self._watched[0])}
        return {place[layer]: (peak.cpu(), self._samples[layer]) for layer, peak in self.peaks.items()}

    def load_state_dict(self, state: Mapping[int, tuple[Tensor, int]]) -> None:
        """Go on from a checkpoint, watching the same layers."""
        layers = self._watched[0]
        self._seen = {layers[number]: [peak] for number, (peak, _) in state.items()}
        self._samples = {layers[number]: samples for number, (_, samples) in state.items()}

    def pause(self) -> None:
        """Take the hooks off; what was seen stays."""
        remove(self._hooks)

    def resume(self) -> None:
        """Go on watching."""
        if not self._hooks:
            layers, activations = self._watched
            attribution = Attribution(self._record)
            self._hooks = on_forward(layers, attribution.layer_called)
            self._hooks += on_forward(activations, attribution.activation_called)
