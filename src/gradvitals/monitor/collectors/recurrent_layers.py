"""The gradient at each time step of the recurrent layers, from the device to a measurement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.measurement import Measurement
from gradvitals.vitals import Layer, TimeGradients
from gradvitals.vitals.time_gradients import CELLS, LAYERS

MOST = 2048  # latest time steps that several processes exchange, of which each may have another number


def add_time_gradients(
    gradients: TimeGradients, readings: Readings, measurement: Measurement, layers: Sequence[Layer], scale: float
) -> None:
    """Adds the norms of dL/dx by time step, of what was seen since the last call.

    Args:
        gradients: watches the recurrent layers.
        layers: the same in each process.
        scale: what the loss was multiplied by.
    """
    recurrent = [layer for layer in layers if isinstance(layer.module, (LAYERS, CELLS))]
    found = gradients.take([layer.module for layer in recurrent if layer.module is not None])
    for layer in recurrent:
        squares = found.get(layer.module)  # type: ignore[arg-type]
        if readings.processes.total > 1:
            _add_of_several(readings, measurement, layer, squares, scale)
        elif squares is not None:
            readings.add_sums(squares, partial(_store, measurement, layer, scale))


def _add_of_several(
    readings: Readings, measurement: Measurement, layer: Layer, squares: Tensor | None, scale: float
) -> None:
    device = layer.weights[0].device
    known = torch.zeros(0, dtype=torch.float64, device=device) if squares is None else squares[-MOST:]
    exchanged = torch.zeros(2 * MOST, dtype=known.dtype, device=device)
    exchanged[MOST - len(known) : MOST] = known
    exchanged[2 * MOST - len(known) :] = 1.0  # where there is a step

    def finish(values: Sequence[float]) -> None:
        steps = sum(count > 0 for count in values[MOST:])
        _store(measurement, layer, scale, values[MOST - steps : MOST])

    readings.add_sums(exchanged, finish)


def _store(measurement: Measurement, layer: Layer, scale: float, squares: Sequence[float]) -> None:
    norms = [math.sqrt(square) / scale for square in squares]
    if len(norms) < 2:
        return
    measurement.through_time[layer.label] = norms
    for name, place in (("first", 0), ("middle", len(norms) // 2), ("last", -1)):
        measurement.totals[f"time_grad_norm/{layer.label}/{name}"] = norms[place]
