"""Which units never return anything but zero."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gradvitals.vitals.activations import Attribution
from gradvitals.vitals.hooks import on_forward, remove
from gradvitals.vitals.norms import local


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
        self.peaks: dict[nn.Module, Tensor] = {}
        self._samples: dict[nn.Module, int] = {}
        self._watched = list(layers), list(activations)
        self._hooks: list[RemovableHandle] = []
        self.resume()

    @property
    def samples(self) -> int:
        return min(self._samples.values(), default=0)

    def _record(self, layer: nn.Module, activation: nn.Module, output: Tensor) -> None:
        a = local(output.detach())
        if not a.numel():
            return
        unit = 1 if isinstance(layer, nn.modules.conv._ConvNd) else a.ndim - 1
        others = [axis for axis in range(a.ndim) if axis != unit]
        peak = a.abs().amax(others) if others else a.abs()
        known = self.peaks.get(layer)
        same = known is not None and known.shape == peak.shape
        self.peaks[layer] = torch.maximum(known, peak) if same else peak  # type: ignore[arg-type]
        self._samples[layer] = self._samples.get(layer, 0) + (len(a) if a.ndim > 1 else 1)

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
