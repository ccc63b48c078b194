"""How what each layer puts out reaches the next one: what theory must be told of a network.

Nothing is read from a network's code or names. One forward pass tells which tensors modules are given and return, and
the graph that autograd builds of it tells what else is done with them. What is not understood is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn.utils.parametrize import is_parametrized

from gradvitals.vitals.activations import is_activation
from gradvitals.vitals.autograd_graph import Origin, _origin, _through_views, _Ways
from gradvitals.vitals.hooks import remove
from gradvitals.vitals.norms import dot, norm, wide

NOT_ELEMENTWISE = (nn.GLU, nn.RReLU)  # one mixes units, the other draws its slopes
ROUNDING = 1e-5  # of a sum in float32, relative


@dataclass(frozen=True)
class Link:
    """How a linear layer's output goes on: through norm and activation, and perhaps as the branch of a residual block.

    Attributes:
        act: the activation; None: none.
        norm: ``batch``, ``layer``, ``rms`` or None.
        norm_position: ``before_linear``, ``before_act`` or ``after_act``.
        block: ``plain``; or ``residual``: what the block was given, plus ``scale`` times this.
        scale: the branch's factor.
        leads_on: whether all this is what the next layer is given, and nothing beside it is, nor goes past it.
        input_square: mean square of what the layer, or its block, is given.
        output_square: mean square of ``h``; where BatchNorm follows at once, less the square of the batch's mean.
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
    """One call of a module."""

    module: nn.Module
    given: Origin | None
    version: int | None  # of the tensor it was given: what works in place raises it
    returned: Origin | None = None
    squares: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of input, output, and output less the batch's mean
    results: list[Tensor] = field(default_factory=list)  # of the calls that it made itself


@dataclass(frozen=True)
class _Sum:
    """A call that returned what it was given plus ``scale`` times its branch's output."""

    given: Origin
    returned: Origin
    scale: float
    square: float


@dataclass(frozen=True)
class _Unit:
    """A layer with what belongs to it.

    Attributes:
        entrance: what it is made from.
        front: what the norm was given that made the entrance.
        gate: where all of the entrance must pass.
        exit: what it makes.
    """

    link: Link
    entrance: Origin | None
    front: tuple[Origin, str] | None
    gate: Node
    exit: Origin


class Chain:
    """Watches one forward pass, with gradients, and tells how each layer's output reaches the next.

    A block whose input needs no gradient is not seen to be residual.

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

    def __init__(self, network: nn.Module) -> None:
        self._open: list[_Call] = []
        self._layers: dict[nn.Module, list[_Call]] = {}
        self._steps: dict[Origin | None, list[tuple[_Call, str]]] = {}  # activations and norms by what they were given
        self._normed: dict[Origin, tuple[Origin, str]] = {}  # what a norm returned -> what it was given, and which norm
        self._sums: dict[Origin, _Sum] = {}  # by the branch's output
        self._hooks = [m.register_forward_pre_hook(self._called, with_kwargs=True) for m in network.modules()]
        self._hooks += [m.register_forward_hook(self._returned, with_kwargs=True) for m in network.modules()]

    def close(self) -> None:
        """Take the hooks off; what was seen stays."""
        remove(self._hooks)

    def links(self, layers: Sequence[nn.Module], loss: Tensor) -> list[Link | None]:
        """What was understood of each layer.

        Args:
            layers: in the order of the forward pass.
            loss: what came of the pass.

        Returns:
            One entry per layer; None for what is no linear layer, is called more than once, or is part of something
            that is not understood.
        """
        if loss.grad_fn is None:
            return [None] * len(layers)
        ways = _Ways(loss.grad_fn)
        units = [self._unit(layer, ways) for layer in layers]
        for i in range(len(units) - 1):
            units[i], units[i + 1] = _join(units[i], units[i + 1], ways)
        return [unit.link if unit else None for unit in units]

    def _called(self, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        x = _first(args, kwargs)
        self._open.append(_Call(module, _origin(x), _version(x)))

    def _returned(self, module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        call, x = self._open.pop(), _first(args, kwargs)
        if not isinstance(output, Tensor) or x is None:
            return
        call.returned = _origin(output)
        if self._open:
            self._open[-1].results.append(output)
        if isinstance(module, nn.Linear):
            call.squares = (_square(x), _square(output), _square(output - output.detach().mean(0)))
            self._layers.setdefault(module, []).append(call)
        elif kind := _kind(module, x, output):
            self._steps.setdefault(call.given, []).append((call, kind))
            if kind != "act" and call.given and call.returned:
                self._normed[call.returned] = (call.given, kind)
        elif _version(x) == call.version:
            self._add(call, x, output)

    def _add(self, call: _Call, x: Tensor, output: Tensor) -> None:
        """Note a call that returned its input plus a multiple of what one of its own calls returned last."""
        if call.given is None or call.returned is None or not _adds(call.returned, call.given):
            return
        for branch in reversed(call.results):
            origin, scale = _origin(branch), _multiple(output, x, branch)
            if origin not in (None, call.given) and scale is not None:
                self._sums[origin] = _Sum(call.given, call.returned, scale, _square(x))
                return

    def _unit(self, layer: nn.Module, ways: _Ways) -> _Unit | None:
        calls = self._layers.get(layer, [])
        if len(calls) != 1 or calls[0].returned is None or is_parametrized(layer):
            return None
        (call,) = calls
        at, act, norm, position = self._follow(call.returned, ways)  # type: ignore[arg-type]
        front = self._normed.get(call.given) if call.given else None
        batch = norm == "batch" and position == "before_act"
        link = Link(act, norm, position, input_square=call.squares[0], output_square=call.squares[2 if batch else 1])
        if at not in self._sums:
            return _Unit(link, call.given, front, call.returned[0], at)  # type: ignore[index]
        whole = self._sums[at]
        link = replace(link, block="residual", scale=whole.scale, input_square=whole.square)
        unit = _Unit(link, call.given, front, whole.returned[0], whole.returned)
        if call.given != whole.given:
            unit = _with_front(unit)  # type: ignore[assignment]
        inside = unit is not None and unit.entrance == whole.given and ways.all_lead(at[0], whole.returned[0])
        return unit if inside else None

    def _follow(self, at: Origin, ways: _Ways) -> tuple[Origin, nn.Module | None, str | None, str]:
        """From a layer's output through at most one norm and one activation, as long as it goes nowhere else."""
        act, norm, position = None, None, "before_act"
        while at not in self._sums and len(steps := self._steps.get(at, [])) == 1:
            ((call, kind),) = steps
            taken = act is not None if kind == "act" else norm is not None
            if taken or call.returned is None or not ways.all_lead(at[0], call.returned[0]):
                break
            if kind == "act":
                act = call.module
            else:
                norm, position = kind, "after_act" if act is not None else "before_act"
            at = call.returned
        return at, act, norm, position


def _join(unit: _Unit | None, after: _Unit | None, ways: _Ways) -> tuple[_Unit | None, _Unit | None]:
    """Both, the first marked where it leads on to the second."""
    if unit is None or after is None:
        return unit, after
    if unit.exit != after.entrance and after.front and after.front[0] == unit.exit:
        after = _with_front(after) or after
    if unit.exit == after.entrance and ways.all_lead(unit.exit[0], after.gate):
        unit = replace(unit, link=replace(unit.link, leads_on=True))
    return unit, after


def _with_front(unit: _Unit) -> _Unit | None:
    """The unit together with the norm in front of its layer; None: there is none, or one too many."""
    if unit.front is None or unit.link.norm is not None:
        return None
    entrance, norm = unit.front
    return replace(unit, entrance=entrance, link=replace(unit.link, norm=norm, norm_position="before_linear"))


def _first(args: tuple, kwargs: dict[str, Any]) -> Tensor | None:
    return next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)


def _version(tensor: Tensor | None) -> int | None:
    """How often a tensor was changed in place; None where that is not counted, as in inference mode."""
    return None if tensor is None or tensor.is_inference() else tensor._version


def _square(x: Tensor) -> float:
    """Mean square."""
    return (norm(x.detach()).square() / max(x.numel(), 1)).item()


def _kind(module: nn.Module, x: Tensor, output: Tensor) -> str | None:
    """``act``, or the kind of norm, of a module that theory may know."""
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
    """Whether a norm's gain and shift, if it has them, change nothing, as at the start."""
    gain, shift = getattr(module, "weight", None), getattr(module, "bias", None)
    return (gain is None or bool((gain == 1).all())) and (shift is None or bool((shift == 0).all()))


def _adds(total: Origin, part: Origin) -> bool:
    """Whether a tensor is the sum of another and something else."""
    parts = [_through_views(*edge) for edge in total[0].next_functions if edge[0] is not None]  # type: ignore[arg-type]
    return total[0].name() == "AddBackward0" and part in parts


def _multiple(output: Tensor, x: Tensor, branch: Tensor) -> float | None:
    """The ``scale`` of ``output = x + scale * branch``, if there is one."""
    if not output.shape == x.shape == branch.shape:
        return None
    output, x, branch = (t.detach().to(wide(t.device)) for t in (output, x, branch))
    square = dot([branch], [branch]).item()
    if not square:
        return None
    scale = dot([output - x], [branch]).item() / square
    return scale if torch.dist(output, x + scale * branch) <= ROUNDING * (norm(x) + norm(output)) else None
