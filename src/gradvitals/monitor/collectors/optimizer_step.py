"""One measured step of one optimizer: its gradients before and after clipping, and what it does to the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradvitals.distributed.dtensor import is_sharded
from gradvitals.monitor.collectors.readings import Finish, Readings
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.settings import Settings
from gradvitals.vitals import Histogram, Layer, histogram
from gradvitals.vitals.norms import products, shares

# The parts of the monitor, as an error names them.
STEP_PARTS = GRADIENTS, UPDATES, HISTOGRAMS = "gradients", "updates", "histograms"


class Trained:
    """The parameters of an optimizer that have a gradient, and which layers they belong to.

    Attributes:
        parameters: all of them.
        layers: those that own some of them.
        weights: those of any layer.
        places: of each layer, where its weights are among them.
        others: the rest.
        sharded: whether some of them are.
    """

    def __init__(self, optimizer: Optimizer, layers: Sequence[Layer]) -> None:
        self.parameters = [p for p in parameters(optimizer) if p.grad is not None]
        self._ids, self._of = list(map(id, self.parameters)), layers
        ours = set(self.parameters)
        self.layers = [layer for layer in layers if not ours.isdisjoint(layer.weights)]
        owned = [[weight for weight in layer.weights if weight in ours] for layer in self.layers]
        at: dict[Tensor, int] = {}
        self.places = [[at.setdefault(weight, len(at)) for weight in weights] for weights in owned]
        self.weights = list(at)
        self.others = [parameter for parameter in self.parameters if parameter not in at]
        self.sharded = any(map(is_sharded, self.parameters))
        self._room: list[Tensor] = []

    def is_current(self, optimizer: Optimizer, layers: Sequence[Layer]) -> bool:
        return layers is self._of and [id(p) for p in parameters(optimizer) if p.grad is not None] == self._ids

    def copy_weights(self) -> list[Tensor]:
        """Returns copies of the weights. On a CPU the memory is kept: to allocate it anew costs more than the copy."""
        if not self._room:
            copies = [weight.detach().clone() for weight in self.weights]
            self._room = copies if all(type(w) is Tensor and w.device.type == "cpu" for w in copies) else []
            return copies
        with torch.no_grad():
            torch._foreach_copy_(self._room, self.weights)
        return self._room


class OptimizerStep:
    """Measures before clipping, when it is made, and after the step.

    Args:
        scale: what the gradients are multiplied by before the step.
        settings: of which ``updates``, ``clip_cosine`` and ``histograms`` count; sharded weights have no histograms.
        clips: whether something may clip.
    """

    def __init__(
        self,
        trained: Trained,
        measurement: Measurement,
        readings: Readings,
        scale: float,
        settings: Settings,
        clips: bool,
    ) -> None:
        self._trained, self._scale, self._clips = trained, scale, clips
        self._seen: list[tuple[int, int]] = []
        self.measurement, self.readings = measurement, readings
        self._before: list[float] = []
        self._old: list[Tensor] = []
        self._copies: list[Tensor] = []
        readings.gather(GRADIENTS, self._add_before, clips and settings.clip_cosine)
        if settings.updates:
            readings.gather(UPDATES, self._add_weights)
        if settings.histograms:
            readings.gather(HISTOGRAMS, lambda: measurement.histograms.update(dict(self._count())))

    def note_versions(self) -> None:
        """Remembers the gradients as they are, to find out whether somebody changes them."""
        self._seen = versions(self._trained.parameters)

    def look_for_clipping(self) -> None:
        """Decides whether something clips: whether the gradients were changed since :meth:`note_versions`."""
        self._clips = self._seen != versions(self._trained.parameters)

    def after(self, scale: float) -> None:
        """Measures after the step; ``scale`` is what the gradients are multiplied by now."""
        if self._old:
            self.readings.gather(UPDATES, self._add_updates)
        if self._clips:
            self.readings.gather(GRADIENTS, self._add_after, scale)

    def _add_before(self, keeps: bool) -> None:
        self._add_gradients(self._finish_before)
        self._copies = [g.clone() for g in gradients(self._trained.parameters)] if keeps else []

    def _add_after(self, scale: float) -> None:
        self._add_gradients(partial(self._finish_after, scale))
        if self._copies:
            self._add_cosines(self._copies, gradients_or_zeros(self._trained.parameters))

    def _add_weights(self) -> None:
        self._old = self._trained.copy_weights()
        self.readings.add_norms(self._old, partial(self._finish_layers, "weight_norm"))

    def _add_updates(self) -> None:
        with torch.no_grad():
            torch._foreach_sub_(self._old, self._trained.weights)
        self.readings.add_norms(self._old, self._finish_updates)

    def _add_cosines(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
        together = torch.cat([products(a, b) for a, b in ((before, after), (before, before), (after, after))])
        if self.readings.sharded:
            shared = shares([*before] * 3, together, self.readings.processes.total)
            self.readings.add_shares(shared, self._finish_cosines)
        else:
            self.readings.add(together, self._finish_cosines)

    def _add_gradients(self, finish: Finish) -> None:
        """Norms of each weight's gradient, and in the last place of everything else together."""
        known = list[float]()
        self.readings.add_norms(gradients_or_zeros(self._trained.weights), known.extend)
        rest = gradients(self._trained.others)
        self.readings.add_joint_norm(rest, lambda values: finish([*known, *values]))

    # On the host

    def _finish_before(self, values: Sequence[float]) -> None:
        self._before = [value / self._scale for value in values]
        self._finish_layers("grad_norm", self._before[:-1])
        self.measurement.set_total("grad_norm/total", math.hypot(*self._before))

    def _finish_after(self, scale: float, values: Sequence[float]) -> None:
        after = [value / scale for value in values]
        self._finish_layers("grad_norm_clipped", after[:-1])
        total_before, total = math.hypot(*self._before), math.hypot(*after)
        self.measurement.set_total("grad_norm_clipped/total", total)
        self.measurement.set_total("clip/coefficient", total / total_before if total_before else math.nan)
        pairs = zip(after, self._before, strict=True)
        self.measurement.clipping_changed = any(a != b and math.isfinite(b) for a, b in pairs)

    def _finish_layers(self, quantity: str, values: Sequence[float]) -> None:
        """From one number per weight to one per layer, which may have several weights or share one."""
        for layer, places in zip(self._trained.layers, self._trained.places, strict=True):
            one = len(places) == 1
            value = values[places[0]] if one else math.hypot(*(values[i] for i in places))
            self.measurement.set(quantity, layer, value)

    def _finish_updates(self, values: Sequence[float]) -> None:
        self._finish_layers("update_ratio", values)
        ratios, weights = (self.measurement.by_layer[name] for name in ("update_ratio", "weight_norm"))
        for index, (step, weight) in enumerate(zip(ratios, weights, strict=True)):
            if step is not None:  # of a weight that is zero there is no share
                ratios[index] = step / (weight or math.nan)

    def _finish_cosines(self, values: Sequence[float]) -> None:
        many = len(values) // 3
        parts = [values[:many], values[many : 2 * many], values[2 * many :]]
        self.measurement.set_total("clip/cosine", _cosine(*map(sum, parts)))
        each = [_cosine(*part) for part in zip(*parts, strict=True)]
        lowest = math.nan if any(map(math.isnan, each)) else min(each)
        self.measurement.set_total("clip/cosine_per_tensor", lowest)

    def _count(self) -> Iterator[tuple[str, Histogram]]:
        trained = self._trained
        for layer, places in zip(trained.layers, trained.places, strict=True):
            for number, place in enumerate(places if not trained.sharded else ()):
                weight = trained.weights[place]
                name = layer.label if len(places) == 1 else f"{layer.label}.{number}"
                yield f"weight/{name}", histogram(weight)
                yield f"grad/{name}", histogram(gradients([weight])[0] / self._scale)


def _cosine(product: float, square: float, square_after: float) -> float:
    length = math.sqrt(square) * math.sqrt(square_after)
    return product / length if length else (math.nan if square or square_after else 1.0)


def parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """Returns all that an optimizer changes."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Returns the gradients of those that have one."""
    return [gradient for p in parameters if (gradient := p.grad) is not None]


def gradients_or_zeros(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Returns the gradients, and zeros where one was taken away after backward."""
    return [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]


def versions(parameters: Sequence[Tensor]) -> list[tuple[int, int]]:
    """Returns what changes with each gradient that is changed in place or replaced."""
    return [(id(gradient), gradient._version) for gradient in gradients(parameters)]
