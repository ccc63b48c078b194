"""Everything that hooks into a network while a measured batch runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.collectors.recurrent_layers import RecurrentLayers
from gradvitals.monitor.isolation import Isolation
from gradvitals.monitor.measurement import Measurement
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
        sharded: the layers with sharded weights.
        isolation: of the parts of the monitor.

    Attributes:
        input: watches the network's input, and knows its entry.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[nn.Module],
        activations: Sequence[nn.Module],
        entry: nn.Module | None = None,
        isolation: Isolation | None = None,
        sharded: Collection[nn.Module] = (),
    ) -> None:
        self._isolation = isolation or Isolation()
        of_gradients, of_inputs, of_outputs, of_input, of_time = map(self._isolation.within, PARTS)
        self._sums = LatestSums()
        self.input = InputGradient(*([entry] if entry is not None else network.modules()), wrap=of_input)
        self._gradients = ActivationGradients(sharded=sharded, wrap=of_gradients)
        self._recurrent = RecurrentLayers(TimeGradients(layers, sharded, wrap=of_time))
        self._inputs = LayerInputs(sums=self._sums)
        self._outputs = ActivationStatistics(sums=self._sums)
        attribution = self._outputs.attribution
        called = of_gradients(self._gradients.layer_called), of_inputs(self._inputs.layer_called)
        self._hooks = on_forward(layers, *called, of_outputs(attribution.layer_called))
        self._hooks += on_forward(activations, of_outputs(attribution.activation_called))

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
        readings.gather(HOOKS, self._add_layers, readings, _Rows(in_order, each, measurement, self._isolation.off))
        readings.gather(INPUT_GRADIENT, self._add_input, readings, measurement, each)
        readings.gather(THROUGH_TIME, self._recurrent.add_to, readings, measurement, in_order, each)

    def _add_input(self, readings: Readings, measurement: Measurement, scale: float) -> None:
        if received := self.input.take():
            square = total(norms(received)).square().reshape(1)
            name = "grad_norm/input"
            readings.add_sums(square, lambda values: measurement.set_total(name, math.sqrt(values[0]) / scale))

    def _add_layers(self, readings: Readings, rows: _Rows) -> None:
        modules = [layer.module for layer in rows.layers if layer.module is not None]
        if not modules:
            return
        device = rows.layers[0].weights[0].device
        gradients, inputs = self._gradients.take(modules), self._inputs.take(modules)
        outputs = self._outputs.take(modules)
        none = torch.zeros((), device=device, dtype=wide(device))
        scalars: list[Tensor] = []
        counts: list[int] = []
        for module in modules:
            out, (squares, samples) = outputs.get(module), inputs.get(module, (none, 0))
            outside = none if out is None or out.outside is None else out.outside.to(none.dtype)
            scalars += [gradients.get(module, none), squares, outside]
            scalars += [out.sum, out.squares] if out else [none, none]
            counts += [samples, out.count if out else 0]
            rows.seen.append((module in gradients, bool(out and out.outside is not None)))
        self._sums.forget()
        values = torch.stack(scalars)
        values[::5] = values[::5].square()  # norms, of which squares add up
        host = torch.tensor(counts, device=device, dtype=none.dtype)
        readings.add_sums(torch.cat([values, host]), rows.finish)

    def close(self) -> None:
        remove(self._hooks)
        self.input.close()
        self._recurrent.close()


class _Rows:
    def __init__(
        self, layers: Sequence[Layer], scale: float, measurement: Measurement, off: Collection[str] = ()
    ) -> None:
        self.layers, self.scale, self.measurement, self.off = layers, scale, measurement, off
        self.seen: list[tuple[bool, bool]] = []  # per layer: whether backward reached it, whether it can saturate

    def finish(self, values: Sequence[float]) -> None:
        many, store = len(self.layers), self.measurement.set
        for i, (layer, (reached, saturable)) in enumerate(zip(self.layers, self.seen, strict=True)):
            gradient, inputs, outside, summed, squares = values[5 * i : 5 * i + 5]
            samples, count = values[5 * many + 2 * i : 5 * many + 2 * i + 2]
            if reached and GRADIENTS not in self.off:
                store("activation_grad_norm", layer, math.sqrt(gradient) / self.scale)
            norm = self.measurement.get("grad_norm", layer)
            if samples and norm is not None and INPUTS not in self.off:
                size = math.sqrt(inputs / samples)
                store("grad_norm_corrected", layer, norm / size if size else math.nan)
            count = 0 if OUTPUTS in self.off else count
            if count:
                mean, std = mean_and_std(count, summed, squares)
                store("activation_mean", layer, mean)
                store("activation_std", layer, std)
            if count and saturable:
                store("saturated_fraction", layer, outside / count)
