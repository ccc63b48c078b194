"""What the monitor must find, from plain autograd in float64: forward, backward, clipping and the step by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from gradvitals.vitals import bounds, is_activation, weights
from gradvitals.vitals.hooks import tensors_in


class Twin:
    """A network in float64 of which every layer's input, output and activation is kept.

    In another precision it is that of the run itself, and only the sums are float64.

    Args:
        network: is copied.
        names: dotted names of its layers, by depth.
        after: layer -> the activation behind it.
    """

    def __init__(
        self, network: nn.Module, names: Sequence[str], after: dict[str, str], dtype: torch.dtype = torch.float64
    ) -> None:
        self.net, self.dtype, self.scale = copy.deepcopy(network).to(dtype).train(), dtype, 1.0
        modules = dict(self.net.named_modules())
        self.layers = {f"{i:02d}.{name}": modules[name] for i, name in enumerate(names)}
        self.activations = {label: modules[after[label[3:]]] for label in self.layers if label[3:] in after}
        self.inputs: dict[str, list[Tensor]] = {label: [] for label in self.layers}
        self.outputs: dict[str, list[Tensor]] = {label: [] for label in self.layers}
        self.returned: dict[str, list[Tensor]] = {label: [] for label in self.activations}
        for label, layer in self.layers.items():
            layer.register_forward_hook(lambda _, args, h, label=label: self._keep(label, args[0], h))
        for label, activation in self.activations.items():
            assert is_activation(activation)
            activation.register_forward_hook(lambda _, __, a, label=label: self.returned[label].append(a.detach()))
        self.leaves: list[Tensor] = []

    def _keep(self, label: str, x: Tensor, output: object) -> None:
        self.inputs[label].append(x.detach())
        for h in tensors_in(output):
            h.retain_grad()
            self.outputs[label].append(h)

    def backward(self, batches: Sequence[tuple[Tensor, Tensor]], loss: Callable[[Tensor, Tensor], Tensor]) -> Twin:
        """The mean over micro-batches of each one's mean loss."""
        for x, y in batches:
            self.leaves.append(x.to(self.dtype).clone().requires_grad_() if x.is_floating_point() else x)
            y = y.to(self.dtype) if y.is_floating_point() else y
            (loss(self.net(self.leaves[-1]), y) / len(batches)).backward()
        return self

    def before(self) -> dict[str, float]:
        """Everything up to the moment before clipping."""
        found = self._gradient_norms("grad_norm")
        for label, layer in self.layers.items():
            found[f"weight_norm/{label}"] = self._weights(layer).norm().item()
            reached = [h.grad for h in self.outputs[label] if h.grad is not None]
            if reached:
                found[f"activation_grad_norm/{label}"] = self._norm(reached)
            if self.inputs[label] and self.inputs[label][0].is_floating_point():
                x = torch.cat(self.inputs[label]).double()
                rms = x.flatten(1).norm(dim=1).square().mean().sqrt()
                found[f"grad_norm_corrected/{label}"] = found[f"grad_norm/{label}"] / rms.item()
        for label, parts in self.returned.items():
            a = torch.cat(parts).double()
            found[f"activation_mean/{label}"], found[f"activation_std/{label}"] = (
                a.mean().item(),
                a.std(correction=0).item(),
            )
            if ends := bounds(self.activations[label]):
                found[f"saturated_fraction/{label}"] = ((a <= ends[0]) | (a >= ends[1])).double().mean().item()
        if self.leaves[0].is_floating_point():
            found["grad_norm/input"] = self._norm(x.grad for x in self.leaves)
        return found

    def after_clipping(self, clip: Callable[[list[nn.Parameter]], object]) -> dict[str, float]:
        """What clipping leaves."""
        before = self._gradient_norms("")["/total"]
        clip(list(self.net.parameters()))
        found = self._gradient_norms("grad_norm_clipped")
        return found | {"clip/coefficient": found["grad_norm_clipped/total"] / before, "clip/fraction": 1.0}

    def step(self, optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]) -> dict[str, float]:
        """What an optimizer makes of it."""
        for parameter in self.net.parameters():
            parameter.grad = None if parameter.grad is None else parameter.grad / self.scale
        old = {label: self._weights(layer) for label, layer in self.layers.items()}
        optimizer(list(self.net.parameters())).step()
        steps = {label: self._weights(layer) - old[label] for label, layer in self.layers.items()}
        return {f"update_ratio/{label}": (step.norm() / old[label].norm()).item() for label, step in steps.items()}

    def _weights(self, layer: nn.Module) -> Tensor:
        return torch.cat([weight.detach().double().flatten() for weight in weights(layer)])

    def _gradient_norms(self, tag: str) -> dict[str, float]:
        found = {f"{tag}/{label}": self._norm(w.grad for w in weights(layer)) for label, layer in self.layers.items()}
        gradients = (p.grad for p in self.net.parameters() if p.grad is not None)
        return found | {f"{tag}/total": self._norm(gradients)}

    def _norm(self, tensors: Iterable[Tensor]) -> float:
        return torch.cat([t.double().flatten() for t in tensors]).norm().item() / self.scale
