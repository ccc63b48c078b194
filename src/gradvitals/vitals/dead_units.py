"""Units that never return anything but zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gradvitals.vitals.activation_statistics import Attribution
from gradvitals.vitals.hooks import Wrap, on_forward, remove, unchanged
from gradvitals.vitals.norms import local

NEVER_NEGATIVE = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Softplus)
MAX_BATCHES = 32  # whose peaks are stored before they are reduced


def _largest(peaks: list[Tensor]) -> Tensor:
    device = peaks[-1].device  # peaks from a checkpoint are on the CPU
    return peaks[0] if len(peaks) == 1 else torch.stack([peak.to(device) for peak in peaks]).amax(0)


class DeadUnits:
    """Records the largest output of each unit. A unit is dead if that is 0 over at least a thousand samples.

    A unit is a feature of an activation's output: along the second axis after a convolution, else along the last one.

    Args:
        layers: the modules to which outputs are attributed.
        activations: the modules whose outputs are looked at.

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

    def __init__(self, layers: Iterable[nn.Module], activations: Iterable[nn.Module], wrap: Wrap = unchanged) -> None:
        self._peaks: dict[nn.Module, list[Tensor]] = {}
        self._samples: dict[nn.Module, int] = {}
        self._watched, self._wrap = (list(layers), list(activations)), wrap
        self._hooks: list[RemovableHandle] = []
        self.resume()

    @property
    def peaks(self) -> dict[nn.Module, Tensor]:
        """The largest absolute value of each unit up to now, ``(units,)``, by layer."""
        return {layer: _largest(peaks) for layer, peaks in self._peaks.items()}

    @property
    def samples(self) -> int:
        """The number of samples of the layer that has seen the fewest."""
        return min(self._samples.values(), default=0)

    def _record(self, layer: nn.Module, activation: nn.Module, output: Tensor) -> None:
        a = local(output.detach())
        if not a.numel():
            return
        unit = 1 if isinstance(layer, nn.modules.conv._ConvNd) else a.ndim - 1
        others = [axis for axis in range(a.ndim) if axis != unit]
        size = a if isinstance(activation, NEVER_NEGATIVE) else a.abs()
        peak, peaks = size.amax(others) if others else size, self._peaks.setdefault(layer, [])
        if peaks and peaks[0].shape != peak.shape:
            return  # of another activation after the same layer
        self._peaks[layer] = [*peaks, peak] if len(peaks) < MAX_BATCHES else [_largest([*peaks, peak])]
        self._samples[layer] = self._samples.get(layer, 0) + (len(a) if a.ndim > 1 else 1)

    def state_dict(self) -> dict[int, tuple[Tensor, int]]:
        """Returns the largest outputs ``(units,)`` and the number of samples, by position of the layer."""
        index = {layer: i for i, layer in enumerate(self._watched[0])}
        return {index[layer]: (peak.cpu(), self._samples[layer]) for layer, peak in self.peaks.items()}

    def load_state_dict(self, state: Mapping[int, tuple[Tensor, int]]) -> None:
        """Resumes from a ``state`` that :meth:`state_dict` returned for the same layers; of shapes ``(units,)``."""
        layers = self._watched[0]
        self._peaks = {layers[i]: [peak] for i, (peak, _) in state.items()}
        self._samples = {layers[i]: samples for i, (_, samples) in state.items()}

    def pause(self) -> None:
        """Removes the hooks until :meth:`resume`; what was recorded stays."""
        remove(self._hooks)

    def resume(self) -> None:
        """Registers the hooks again."""
        if not self._hooks:
            layers, activations = self._watched
            attribution = Attribution(self._record)
            self._hooks = on_forward(layers, self._wrap(attribution.layer_called))
            self._hooks += on_forward(activations, self._wrap(attribution.activation_called))
