"""Everything that hooks into a network while a measured batch runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.collectors.recurrent_layers import add_time_gradients
from gradvitals.monitor.isolation import Isolation
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.network import WatchedNetwork
from gradvitals.vitals import (
    ActivationGradients,
    ActivationStatistics,
    InputGradient,
    Layer,
    LayerInputs,
    TimeGradients,
    mean_and_std,
    norms,
    total,
)
from gradvitals.vitals.hooks import on_forward, remove
from gradvitals.vitals.norms import LatestSums, wide

# The parts of the monitor, as an error names them.
PARTS = GRADIENTS, INPUTS, OUTPUTS, INPUT_GRADIENT, THROUGH_TIME = (
    "activation_gradients",
    "layer_inputs",
    "activation_statistics",
    "input_gradient",
    "through_time",
)
HOOKS = "layer_hooks"


class LayerHooks:
    """Watches one batch, or several that make one step, and reports on chosen layers.

    Args:
        entry: the module that the input comes in by, where known.
        isolation: of the parts of the monitor.

    Attributes:
        input: watches the network's input, and knows its entry.
    """

    def __init__(self, network: WatchedNetwork, entry: nn.Module | None, isolation: Isolation) -> None:
        self._isolation = isolation
        of_gradients, of_inputs, of_outputs, of_input, of_time = map(isolation.within, PARTS)
        self._sums = LatestSums()
        self.input = InputGradient(*([entry] if entry is not None else network.module.modules()), wrap=of_input)
        self._gradients = ActivationGradients(sharded=network.sharded, wrap=of_gradients)
        self._over_time = TimeGradients(network.hooked, network.sharded, wrap=of_time)
        self._inputs = LayerInputs(sums=self._sums)
        self._outputs = ActivationStatistics(sums=self._sums)
        attribution = self._outputs.attribution
        called = of_gradients(self._gradients.layer_called), of_inputs(self._inputs.layer_called)
        self._hooks = on_forward(network.hooked, *called, of_outputs(attribution.layer_called))
        self._hooks += on_forward(network.activations, of_outputs(attribution.activation_called))

    def add_to(self, readings: Readings, measurement: Measurement, layers: Sequence[Layer], scale: float) -> None:
        """Adds what was seen since the last call: of these layers, and of the gradient at the network's input.

        Args:
            readings: to which it is added, after the layers' ``grad_norm``.
            measurement: which receives the numbers.
            layers: the same in each process.
            scale: what the loss was multiplied by.
        """
        each = scale * readings.processes.number  # each process's loss is the mean over its share of the batch
        in_order = sorted(layers, key=lambda layer: layer.name)  # the same in each process
        readings.gather(HOOKS, self._add_layers, readings, measurement, in_order, each)
        readings.gather(INPUT_GRADIENT, self._add_input, readings, measurement, each)
        readings.gather(THROUGH_TIME, add_time_gradients, self._over_time, readings, measurement, in_order, each)

    def _add_input(self, readings: Readings, measurement: Measurement, scale: float) -> None:
        if received := self.input.take():
            square = total(norms(received)).square().reshape(1)
            name = "grad_norm/input"
            readings.add_sums(square, lambda values: measurement.set_total(name, math.sqrt(values[0]) / scale))

    def _add_layers(self, readings: Readings, measurement: Measurement, layers: Sequence[Layer], scale: float) -> None:
        modules = [layer.module for layer in layers if layer.module is not None]
        if not modules:
            return
        device = layers[0].weights[0].device
        gradients, inputs = self._gradients.take(modules), self._inputs.take(modules)
        outputs = self._outputs.take(modules)
        none = torch.zeros((), device=device, dtype=wide(device))
        scalars: list[Tensor] = []
        counts: list[int] = []
        seen: list[tuple[bool, bool]] = []  # per layer: whether backward reached it, whether it can saturate
        for module in modules:
            out, (squares, samples) = outputs.get(module), inputs.get(module, (none, 0))
            outside = none if out is None or out.outside is None else out.outside.to(none.dtype)
            scalars += [gradients.get(module, none), squares, outside]
            scalars += [out.sum, out.squares] if out else [none, none]
            counts += [samples, out.count if out else 0]
            seen.append((module in gradients, bool(out and out.outside is not None)))
        self._sums.forget()
        values = torch.stack(scalars)
        values[::5] = values[::5].square()  # norms, of which squares add up
        host = torch.tensor(counts, device=device, dtype=none.dtype)
        readings.add_sums(torch.cat([values, host]), partial(self._finish_layers, measurement, layers, seen, scale))

    def _finish_layers(
        self,
        measurement: Measurement,
        layers: Sequence[Layer],
        seen: Sequence[tuple[bool, bool]],
        scale: float,
        values: Sequence[float],
    ) -> None:
        many, store, off = len(layers), measurement.set, self._isolation.off
        for i, (layer, (reached, saturable)) in enumerate(zip(layers, seen, strict=True)):
            gradient, inputs, outside, summed, squares = values[5 * i : 5 * i + 5]
            samples, count = values[5 * many + 2 * i : 5 * many + 2 * i + 2]
            if reached and GRADIENTS not in off:
                store("activation_grad_norm", layer, math.sqrt(gradient) / scale)
            norm = measurement.get("grad_norm", layer)
            if samples and norm is not None and INPUTS not in off:
                size = math.sqrt(inputs / samples)
                store("grad_norm_corrected", layer, norm / size if size else math.nan)
            count = 0 if OUTPUTS in off else count
            if count:
                mean, std = mean_and_std(count, summed, squares)
                store("activation_mean", layer, mean)
                store("activation_std", layer, std)
            if count and saturable:
                store("saturated_fraction", layer, outside / count)

    def close(self) -> None:
        remove(self._hooks)
        self.input.close()
        self._over_time.close()
