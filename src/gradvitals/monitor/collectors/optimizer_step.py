"""One measured step of one optimizer: its gradients before and after clipping, and what it does to the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradvitals.distributed.dtensor import is_sharded
from gradvitals.monitor.collectors.readings import Finish, Numbers, Readings
from gradvitals.vitals import Histogram, Layer, histogram
from gradvitals.vitals.norms import products, shares

CHANGED = "clip/changed"  # travels with the numbers: whether clipping changed something


class Trained:
    """The parameters of an optimizer that have a gradient, and which layers they belong to.

    Args:
        optimizer: whose parameters count.
        layers: in depth order.

    Attributes:
        parameters: all of them.
        layers: those that own some of them.
        owned: those of each layer.
        weights: those of any layer.
        labels, places: of each layer, and where its weights are among them.
        others: the rest.
        spread: whether some of them lie in parts in several processes.
    """

    def __init__(self, optimizer: Optimizer, layers: Sequence[Layer]) -> None:
        self.parameters = [p for p in parameters(optimizer) if p.grad is not None]
        self._ids, self._of = list(map(id, self.parameters)), layers
        ours = set(self.parameters)
        self.layers = [layer for layer in layers if not ours.isdisjoint(layer.weights)]
        self.owned = [[weight for weight in layer.weights if weight in ours] for layer in self.layers]
        self.weights: list[Tensor] = list(dict.fromkeys(weight for owned in self.owned for weight in owned))
        of_layers = set(self.weights)
        self.others = [parameter for parameter in self.parameters if parameter not in of_layers]
        self.labels = [layer.label for layer in self.layers]
        at = {weight: place for place, weight in enumerate(self.weights)}
        self.places = [[at[weight] for weight in owned] for owned in self.owned]
        self.spread = any(map(is_sharded, self.parameters))
        self._room: list[Tensor] = []

    def still_holds(self, optimizer: Optimizer, layers: Sequence[Layer]) -> bool:
        """Whether nothing has changed since."""
        return layers is self._of and [id(p) for p in parameters(optimizer) if p.grad is not None] == self._ids

    def copy_weights(self) -> list[Tensor]:
        """The weights as they are. On a processor the room is kept: asking for it anew costs more than the copy."""
        if not self._room:
            copies = [weight.detach().clone() for weight in self.weights]
            self._room = copies if all(type(w) is Tensor and w.device.type == "cpu" for w in copies) else []
            return copies
        with torch.no_grad():
            torch._foreach_copy_(self._room, self.weights)
        return self._room


class OptimizerStep:
    """Takes numbers before clipping, when it is made, and after the step.

    Args:
        trained: what the optimizer moves.
        readings: to which the numbers are added.
        scale: what the gradients are multiplied by.
        suffix: told behind ``total``, ``coefficient`` and the like where there are several optimizers.
        clips: whether something may clip.
        updates: whether the step itself is measured, which copies the weights.
        directions: whether what clipping does to the direction is measured, which copies the gradients.
        histograms: whether weights and gradients are counted, for which is waited; those in parts are left out.

    Attributes:
        readings: the numbers so far.
        histograms: by tag.
    """

    def __init__(
        self,
        trained: Trained,
        readings: Readings,
        scale: float,
        suffix: str = "",
        clips: bool = False,
        updates: bool = False,
        directions: bool = False,
        histograms: bool = False,
    ) -> None:
        self._trained, self._scale, self._suffix, self._clips = trained, scale, suffix, clips
        self.readings = readings
        self._before: list[float] = []
        self._add_gradients(self._finish_before)
        self._old: list[Tensor] = []
        if updates:
            self._old = trained.copy_weights()
            readings.add_norms(self._old, partial(self._finish_layers, "weight_norm"), trained.spread)
        self._copies = [g.clone() for g in gradients(trained.parameters)] if clips and directions else []
        self.histograms = dict(self._count()) if histograms else {}

    def after(self) -> None:
        """Take what the step did and what is left after clipping."""
        if self._old:
            with torch.no_grad():
                torch._foreach_sub_(self._old, self._trained.weights)
            self.readings.add_norms(self._old, self._finish_updates, self._trained.spread)
        if not self._clips:
            return
        self._add_gradients(self._finish_after)
        if self._copies:
            self._add_cosines(self._copies, gradients(self._trained.parameters))

    def _add_cosines(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
        """Of the angle between the gradients before and after clipping, all tensors as one vector and each alone."""
        together = torch.cat([products(a, b) for a, b in ((before, after), (before, before), (after, after))])
        if self._trained.spread:
            shared = shares([*before] * 3, together, self.readings.processes.total)
            self.readings.add_shares(shared, self._finish_cosines)
        else:
            self.readings.add(together, self._finish_cosines)

    def _add_gradients(self, finish: Finish) -> None:
        """Norms of each weight's gradient, and in the last place of everything else together."""
        known, trained = list[float](), self._trained

        def with_rest(values: Sequence[float], numbers: Numbers) -> None:
            finish([*known, *values], numbers)

        self.readings.add_norms(gradients(trained.weights), lambda values, _: known.extend(values), trained.spread)
        self.readings.add_joint_norm(gradients(trained.others), with_rest, trained.spread)

    # On the host

    def _finish_before(self, values: Sequence[float], numbers: Numbers) -> None:
        self._before = [value / self._scale for value in values]
        self._finish_layers("grad_norm", self._before[:-1], numbers)
        numbers[f"grad_norm/total{self._suffix}"] = math.hypot(*self._before)

    def _finish_after(self, values: Sequence[float], numbers: Numbers) -> None:
        after, before = [value / self._scale for value in values], numbers[f"grad_norm/total{self._suffix}"]
        self._finish_layers("grad_norm_clipped", after[:-1], numbers)
        total = numbers[f"grad_norm_clipped/total{self._suffix}"] = math.hypot(*after)
        numbers[f"clip/coefficient{self._suffix}"] = total / before if before else math.nan
        numbers[CHANGED] = any(a != b and math.isfinite(b) for a, b in zip(after, self._before, strict=True))

    def _finish_layers(self, tag: str, values: Sequence[float], numbers: Numbers) -> None:
        """From one number per weight to one per layer, which may have several weights or share one."""
        for label, places in zip(self._trained.labels, self._trained.places, strict=True):
            one = len(places) == 1
            numbers[f"{tag}/{label}"] = values[places[0]] if one else math.hypot(*(values[i] for i in places))

    def _finish_updates(self, values: Sequence[float], numbers: Numbers) -> None:
        self._finish_layers("update_ratio", values, numbers)
        for label in self._trained.labels:  # of a weight that is zero there is no share
            numbers[f"update_ratio/{label}"] /= numbers[f"weight_norm/{label}"] or math.nan

    def _finish_cosines(self, values: Sequence[float], numbers: Numbers) -> None:
        many = len(values) // 3
        parts = [values[:many], values[many : 2 * many], values[2 * many :]]
        numbers[f"clip/cosine{self._suffix}"] = _cosine(*map(sum, parts))
        each = [_cosine(*part) for part in zip(*parts, strict=True)]
        numbers[f"clip/cosine_per_tensor{self._suffix}"] = math.nan if any(map(math.isnan, each)) else min(each)

    def _count(self) -> Iterator[tuple[str, Histogram]]:
        for layer, owned in zip(self._trained.layers, self._trained.owned, strict=True):
            for number, weight in enumerate(owned if not self._trained.spread else ()):
                name = layer.label if len(owned) == 1 else f"{layer.label}.{number}"
                yield f"weight/{name}", histogram(weight)
                yield f"grad/{name}", histogram(gradients([weight])[0] / self._scale)


def _cosine(product: float, square: float, square_after: float) -> float:
    """Of the angle between two vectors; of two that are nothing but zeros 1."""
    length = math.sqrt(square) * math.sqrt(square_after)
    return product / length if length else (math.nan if square or square_after else 1.0)


def parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """All that an optimizer changes."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Those that there are."""
    return [gradient for p in parameters if (gradient := p.grad) is not None]
