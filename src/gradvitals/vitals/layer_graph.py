"""Detects how each layer's output reaches the next layer, which theory needs to know.

Neither the network's code nor its names are used. Hooks record the inputs and outputs of modules in one forward pass,
and the autograd graph shows what else is done with these tensors. Unknown structures are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn.utils.parametrize import is_parametrized

from gradvitals.vitals.activation_statistics import is_activation
from gradvitals.vitals.autograd_graph import Dominators, Origin, origin, through_views
from gradvitals.vitals.hooks import Hooked, Wrap, unchanged
from gradvitals.vitals.norms import dot, norm, wide

NOT_ELEMENTWISE = (nn.GLU, nn.RReLU)  # GLU mixes units, RReLU draws its slopes
ROUNDING = 1e-5  # relative error of a sum in float32


@dataclass(frozen=True)
class Link:
    """A linear layer with its norm and activation, and how its output ``h`` reaches the next layer.

    Attributes:
        act: the activation, or None.
        norm: ``batch``, ``layer``, ``rms`` or None.
        norm_position: ``before_linear``, ``before_act`` or ``after_act``.
        block: ``plain``; or ``residual``: the result is the block's input plus ``scale`` times the branch's output.
        scale: the branch's factor.
        leads_on: whether the result is the whole input of the next layer and used nowhere else.
        input_square: mean square of the input of the layer, or of its block.
        output_square: mean square of ``h``, about the batch's mean if BatchNorm follows directly.

    Example:
        >>> layer = nn.Linear(4, 8)
        >>> chain = Chain(layer)
        >>> (link,) = chain.links([layer], layer(torch.ones(2, 4)).sum()); chain.close()
        >>> link.act, link.block, round(link.input_square, 6)
        (None, 'plain', 1.0)
    """

    act: nn.Module | None = None
    norm: str | None = None
    norm_position: str = "before_act"
    block: str = "plain"
    scale: float = 1.0
    leads_on: bool = False
    input_square: float = 1.0
    output_square: float = 1.0


@dataclass
class _Call:
    module: nn.Module
    given: Origin | None  # of the input
    version: int | None  # of the input, which in-place operations increase
    returned: Origin | None = None
    squares: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of input, output, and output about the batch's mean
    results: list[Tensor] = field(default_factory=list)  # outputs of the calls inside this one


@dataclass(frozen=True)
class _Sum:
    """A call that returned its input plus ``scale`` times its branch's output."""

    given: Origin
    returned: Origin
    scale: float
    square: float


@dataclass(frozen=True)
class _Unit:
    """A layer with its norm, activation and residual block.

    Attributes:
        front: if a norm made the input: the norm's own input, and its kind.
        gate: the node through which every use of the input must pass.
    """

    link: Link
    input: Origin | None
    front: tuple[Origin, str] | None
    gate: Node
    output: Origin


class Chain(Hooked):
    """Watches one forward pass, with gradients, and reports how each layer's output reaches the next.

    A residual block is only detected if its input requires a gradient.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))
        >>> chain = Chain(net)
        >>> loss = net(torch.randn(16, 4)).mean(); chain.close()
        >>> first, last = chain.links([net[0], net[3]], loss)
        >>> first.act, first.norm, first.norm_position, first.leads_on
        (Tanh(), 'batch', 'before_act', True)
        >>> last.act, last.leads_on
        (None, False)
    """

    def __init__(self, network: nn.Module, wrap: Wrap = unchanged) -> None:
        self._open: list[_Call] = []
        self._layers: dict[nn.Module, list[_Call]] = {}
        self._steps: dict[Origin | None, list[tuple[_Call, str]]] = {}  # activations and norms by their input
        self._normed: dict[Origin, tuple[Origin, str]] = {}  # output of a norm -> its input and kind
        self._sums: dict[Origin, _Sum] = {}  # by the branch's output
        called, returned = wrap(self._called), wrap(self._returned)
        self._hooks = [m.register_forward_pre_hook(called, with_kwargs=True) for m in network.modules()]
        self._hooks += [m.register_forward_hook(returned, with_kwargs=True) for m in network.modules()]

    def links(self, layers: Sequence[nn.Module], loss: Tensor) -> list[Link | None]:
        """Returns a link per layer; None if it is not linear, called several times, or in an unknown structure.

        Args:
            layers: modules of the network that was watched.
            loss: what its outputs were reduced to, shape ``()``, with its autograd graph.
        """
        if loss.grad_fn is None:
            return [None] * len(layers)
        graph = Dominators(loss.grad_fn)
        units = [self._unit(layer, graph) for layer in layers]
        for i in range(len(units) - 1):
            units[i], units[i + 1] = _join(units[i], units[i + 1], graph)
        return [unit.link if unit else None for unit in units]

    def _called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = first_tensor(args, kwargs)
        self._open.append(_Call(module, origin(x), _version(x)))

    def _returned(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        call, x = self._open.pop(), first_tensor(args, kwargs)
        if not isinstance(output, Tensor) or x is None:
            return
        call.returned = origin(output)
        if self._open:
            self._open[-1].results.append(output)
        if isinstance(module, nn.Linear):
            call.squares = (_mean_square(x), _mean_square(output), _mean_square(output - output.detach().mean(0)))
            self._layers.setdefault(module, []).append(call)
        elif kind := _kind(module, x, output):
            self._steps.setdefault(call.given, []).append((call, kind))
            if kind != "act" and call.given and call.returned:
                self._normed[call.returned] = (call.given, kind)
        elif _version(x) == call.version:
            self._record_sum(call, x, output)

    def _record_sum(self, call: _Call, x: Tensor, output: Tensor) -> None:
        """Records a call that returned its input plus a multiple of the latest suitable output inside it."""
        if call.given is None or call.returned is None or not _adds(call.returned, call.given):
            return
        for branch in reversed(call.results):
            end, scale = origin(branch), _multiple(output, x, branch)
            if end not in (None, call.given) and scale is not None:
                self._sums[end] = _Sum(call.given, call.returned, scale, _mean_square(x))
                return

    def _unit(self, layer: nn.Module, graph: Dominators) -> _Unit | None:
        calls = self._layers.get(layer, [])
        if len(calls) != 1 or calls[0].returned is None or is_parametrized(layer):
            return None
        (call,) = calls
        end, act, norm, position = self._follow(call.returned, graph)  # type: ignore[arg-type]
        front = self._normed.get(call.given) if call.given else None
        batch = norm == "batch" and position == "before_act"
        link = Link(act, norm, position, input_square=call.squares[0], output_square=call.squares[2 if batch else 1])
        if end not in self._sums:
            return _Unit(link, call.given, front, call.returned[0], end)  # type: ignore[index]
        block = self._sums[end]
        link = replace(link, block="residual", scale=block.scale, input_square=block.square)
        unit = _Unit(link, call.given, front, block.returned[0], block.returned)
        if call.given != block.given:
            unit = _with_front(unit)  # type: ignore[assignment]
        inside = unit is not None and unit.input == block.given and graph.dominates(block.returned[0], end[0])
        return unit if inside else None

    def _follow(self, at: Origin, graph: Dominators) -> tuple[Origin, nn.Module | None, str | None, str]:
        """Follows a layer's output through at most one norm and one activation, while it is used nowhere else."""
        act, norm, position = None, None, "before_act"
        while at not in self._sums and len(steps := self._steps.get(at, [])) == 1:
            ((call, kind),) = steps
            repeated = act is not None if kind == "act" else norm is not None
            if repeated or call.returned is None or not graph.dominates(call.returned[0], at[0]):
                break
            if kind == "act":
                act = call.module
            else:
                norm, position = kind, "after_act" if act is not None else "before_act"
            at = call.returned
        return at, act, norm, position


def _join(unit: _Unit | None, after: _Unit | None, graph: Dominators) -> tuple[_Unit | None, _Unit | None]:
    """Sets ``leads_on`` of the first unit, and adds a norm between the units to the second."""
    if unit is None or after is None:
        return unit, after
    if unit.output != after.input and after.front and after.front[0] == unit.output:
        after = _with_front(after) or after
    if unit.output == after.input and graph.dominates(after.gate, unit.output[0]):
        unit = replace(unit, link=replace(unit.link, leads_on=True))
    return unit, after


def _with_front(unit: _Unit) -> _Unit | None:
    if unit.front is None or unit.link.norm is not None:
        return None
    x, norm = unit.front
    return replace(unit, input=x, link=replace(unit.link, norm=norm, norm_position="before_linear"))


def first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """Returns the first tensor that a module is called with."""
    return next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)


def _version(tensor: Tensor | None) -> int | None:
    """Returns how often a tensor was changed in place; None in inference mode, which does not count."""
    return None if tensor is None or tensor.is_inference() else tensor._version


def _mean_square(x: Tensor) -> float:
    return (norm(x.detach()).square() / max(x.numel(), 1)).item()


def _kind(module: nn.Module, x: Tensor, output: Tensor) -> str | None:
    """Returns ``act`` or the kind of norm, of a module that theory may know, else None."""
    if is_activation(module):
        per_unit = getattr(module, "num_parameters", 1) > 1  # PReLU
        return None if isinstance(module, NOT_ELEMENTWISE) or per_unit or x.shape != output.shape else "act"
    if isinstance(module, nn.BatchNorm1d):
        kind = "batch" if module.training and x.ndim == 2 else None
    else:
        over_features = getattr(module, "normalized_shape", None) == tuple(x.shape[-1:])
        kind = {nn.LayerNorm: "layer", nn.RMSNorm: "rms"}.get(type(module)) if over_features else None
    return kind if kind and _neutral(module) else None


def _neutral(module: nn.Module) -> bool:
    """Returns whether a norm's gain and shift are 1 and 0, as at initialization, or absent."""
    gain, shift = getattr(module, "weight", None), getattr(module, "bias", None)
    return (gain is None or bool((gain == 1).all())) and (shift is None or bool((shift == 0).all()))


def _adds(total: Origin, summand: Origin) -> bool:
    summands = [through_views(*edge) for edge in total[0].next_functions if edge[0] is not None]  # type: ignore[arg-type]
    return total[0].name() == "AddBackward0" and summand in summands


def _multiple(output: Tensor, x: Tensor, branch: Tensor) -> float | None:
    """Returns the ``scale`` of ``output = x + scale * branch``, None if the output is something else."""
    if not output.shape == x.shape == branch.shape:
        return None
    output, x, branch = (t.detach().to(wide(t.device)) for t in (output, x, branch))
    square = dot([branch], [branch]).item()
    if not square:
        return None
    scale = dot([output - x], [branch]).item() / square
    return scale if torch.dist(output, x + scale * branch) <= ROUNDING * (norm(x) + norm(output)) else None
