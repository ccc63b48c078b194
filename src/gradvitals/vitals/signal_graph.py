"""Detects the graph of the forward pass, for networks with convolutions, whose theory needs it.

Neither the network's code nor its names are used. Hooks record the calls of layers, activations, norms and pools; the
autograd graph shows what else is done with their outputs. What is not known here belongs to no node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn.utils.parametrize import is_parametrized

from gradvitals.distributed.dtensor import is_sharded
from gradvitals.vitals.activation_statistics import is_activation
from gradvitals.vitals.autograd_graph import VIEWS, Origin, origin, through_views, users_of
from gradvitals.vitals.hooks import Hooked, Wrap, unchanged
from gradvitals.vitals.layer_graph import NOT_ELEMENTWISE, first_tensor
from gradvitals.vitals.norms import norm, wide

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
KINDS: dict[tuple[type[nn.Module], ...], str] = {
    (*CONVOLUTIONS, nn.Linear): "layer",
    (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d): "batch",
    (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, *ADAPTIVE): "average",
    (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d): "max",
}
FUNCTIONS: dict[str, type[nn.Module]] = {
    "ReluBackward0": nn.ReLU,
    "TanhBackward0": nn.Tanh,
    "SigmoidBackward0": nn.Sigmoid,
}
SAMPLE = (128, 128)  # channels and values of each


@dataclass(frozen=True)
class Measured:
    """What a batch's output of a node looks like.

    Attributes:
        square: mean square over batch and channels by position, float64, on the CPU.
        common: mean over channels of the square of a channel's mean over batch and positions.
        variances: of each channel, float64, on the CPU.
        given, sample: of a pool: some values of its input and of its output, ``(channels, values)``.
        growth: of a pool: the mean square of its output over that of its input.
    """

    square: Tensor
    common: float = 0.0
    variances: Tensor | None = None
    given: Tensor | None = None
    sample: Tensor | None = None
    growth: float = 1.0


@dataclass(frozen=True)
class SignalNode:
    """A step of the forward pass.

    Attributes:
        kind: ``layer``, ``act``, ``batch`` (a norm over the batch), ``average``, ``max``, ``mean`` (over positions) or
            ``add``.
        module: None for a sum and for a mean.
        inputs: numbers of earlier nodes; None where the input comes from something unknown.
        input_shape, shape: of input and output, without the batch.
        is_whole: whether the nodes are all that uses the output.
        measured: see :class:`Measured`.

    Example:
        >>> SignalNode("act", nn.ReLU(), inputs=(0,), input_shape=(8,), shape=(8,)).is_whole
        False
    """

    kind: str
    module: nn.Module | None
    inputs: tuple[int | None, ...]
    input_shape: tuple[int, ...]
    shape: tuple[int, ...]
    is_whole: bool = False
    measured: Measured | None = None


@dataclass
class _Call:
    kind: str
    module: nn.Module
    given: Origin | None
    input_shape: tuple[int, ...]
    returned: Origin | None = None
    shape: tuple[int, ...] = ()
    measured: Measured | None = None


@dataclass
class _Found:
    """The nodes so far, and which part of the autograd graph each of them covers."""

    nodes: list[SignalNode] = field(default_factory=list)
    ends: list[Node] = field(default_factory=list)
    sources: list[frozenset[int]] = field(default_factory=list)  # layers whose weights were the last
    by_output: dict[Origin, int] = field(default_factory=dict)
    explained: set[Node] = field(default_factory=set)

    def add(self, node: SignalNode, at: Origin, inside: Iterable[Node] = ()) -> int:
        before = [self.sources[i] if i is not None else frozenset[int]() for i in node.inputs]
        self.sources.append(frozenset({len(self.nodes)} if node.kind == "layer" else frozenset().union(*before)))
        self.nodes.append(node)
        self.ends.append(at[0])
        self.by_output[at] = len(self.nodes) - 1
        self.explained |= {at[0], *inside}
        return self.by_output[at]


class SignalGraph(Hooked):
    """Watches one forward pass, with gradients, and reports it as a graph.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4, 2))
        >>> graph = SignalGraph(net)
        >>> loss = net(torch.randn(16, 3, 4, 4)).mean(); graph.close()
        >>> [(node.kind, node.inputs, node.is_whole) for node in graph.nodes(loss)]
        [('layer', (None,), True), ('act', (0,), True), ('layer', (1,), False)]
    """

    def __init__(self, network: nn.Module, wrap: Wrap = unchanged) -> None:
        self._calls: list[_Call] = []
        self._open: list[_Call] = []
        modules = [module for module in network.modules() if _kind(module)]
        self._hooks = []
        if any(isinstance(module, CONVOLUTIONS) for module in modules):
            called, returned = wrap(self._called), wrap(self._returned)
            self._hooks = [m.register_forward_pre_hook(called, with_kwargs=True) for m in modules]
            self._hooks += [m.register_forward_hook(returned, with_kwargs=True) for m in modules]

    def nodes(self, loss: Tensor) -> list[SignalNode]:
        """Returns the nodes in the order of the forward pass; none if nothing was watched.

        Args:
            loss: what the outputs were reduced to, shape ``()``, with its autograd graph.
        """
        if loss.grad_fn is None or not self._calls:
            return []
        users = users_of(loss.grad_fn)
        times = {call.module: 0 for call in self._calls}
        for call in self._calls:
            times[call.module] += 1
        found = _Found()
        for call in self._calls:
            known = call.kind != "layer" or (times[call.module] == 1 and not is_parametrized(call.module))
            if known and call.returned is not None and call.returned[0] in users:
                _add_call(found, call)
        self._calls = []
        return [_closed(found, users, i) for i in range(len(found.nodes))]

    def _called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not torch.compiler.is_compiling():
            x = first_tensor(args, kwargs)
            self._open.append(
                _Call(_kind(module) or "", module, origin(x), tuple(x.shape[1:]) if x is not None else ())
            )

    def _returned(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if torch.compiler.is_compiling():
            return
        call, x = self._open.pop(), first_tensor(args, kwargs)
        if x is None or not isinstance(output, Tensor) or not output.requires_grad or not _is_known(call, x, output):
            return
        call.returned, call.shape = origin(output), tuple(output.shape[1:])
        with torch.no_grad():
            if call.kind == "layer":
                call.measured = _of_layer(output)
            elif call.kind in ("max", "average"):
                call.measured = _of_pool(x, output)
        self._calls.append(call)


def _kind(module: nn.Module) -> str | None:
    if is_activation(module):
        return None if isinstance(module, NOT_ELEMENTWISE) else "act"
    for types, kind in KINDS.items():
        known = next((one for one in types if isinstance(module, one)), None)
        if known is not None:  # a subclass may compute something else
            return kind if type(module).forward is known.forward else None
    return None


def _is_known(call: _Call, x: Tensor, output: Tensor) -> bool:
    """Returns whether theory may know what this call did."""
    module: Any = call.module
    if call.kind == "layer":
        axes = 2 if isinstance(module, nn.Linear) else module.weight.ndim
        return x.ndim == axes and not is_sharded(module.weight)
    if call.kind == "act":
        return x.shape == output.shape and getattr(module, "num_parameters", 1) == 1
    if call.kind == "batch":
        return bool(module.training and _is_uniform(module))
    if call.kind == "max":
        return bool(not module.return_indices and _all(module.dilation, 1))
    if isinstance(module, ADAPTIVE):
        return all(size % out == 0 for size, out in zip(x.shape[2:], output.shape[2:], strict=True))
    apart = all(s >= k for s, k in zip(_pair(module.stride, x), _pair(module.kernel_size, x), strict=True))
    is_plain = _all(module.padding, 0) and not module.ceil_mode and getattr(module, "divisor_override", None) is None
    return apart and is_plain


def _is_uniform(norm: Any) -> bool:
    """Returns whether all gains of a norm are equal and all shifts 0."""
    gain, shift = norm.weight, norm.bias
    return (gain is None or bool((gain == gain[0]).all())) and (shift is None or bool((shift == 0).all()))


def _all(value: Any, wanted: int) -> bool:
    return value in (wanted, (wanted,)) or (isinstance(value, tuple) and set(value) == {wanted})


def _pair(value: Any, x: Tensor) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * (x.ndim - 2)


def _of_layer(h: Tensor) -> Measured:
    positions = tuple(range(2, h.ndim))
    known = h.detach() if h.dtype in (torch.float32, torch.float64) else h.detach().float()
    squares = known.square().mean(0).to(wide(h.device))
    means = known.mean((0, *positions)).to(squares).square()
    variances = (squares.flatten(1).mean(1) if positions else squares) - means
    return Measured(squares.mean(0).double().cpu(), means.mean().item(), variances.clamp(min=0).double().cpu())


def _of_pool(x: Tensor, output: Tensor) -> Measured:
    before, after = ((norm(t.detach()).square() / t.numel()).item() for t in (x, output))
    growth = after / before if before else 1.0
    return Measured(torch.zeros(()), given=_sample(x.detach()), sample=_sample(output.detach()), growth=growth)


def _sample(x: Tensor) -> Tensor:
    """Returns values of some channels, chosen evenly: shape ``SAMPLE``, float64, on the CPU."""
    rows = x.transpose(0, 1).flatten(1)
    channels = torch.arange(SAMPLE[0], device=x.device) % len(rows)
    columns = torch.linspace(0, rows.shape[1] - 1, SAMPLE[1], device=x.device).long()
    return rows[channels][:, columns].cpu().double()


def _add_call(found: _Found, call: _Call) -> None:
    assert call.returned is not None
    inside = _inside(call.returned[0], call.given)
    before = _resolve(found, call.given) if call.given else None
    if before is not None and not _leads_to(found.nodes[before].shape, call.input_shape):
        before = None
    node = SignalNode(call.kind, call.module, (before,), call.input_shape, call.shape, measured=call.measured)
    found.add(node, call.returned, inside)


def _leads_to(shape: Sequence[int], given: Sequence[int]) -> bool:
    """Returns whether a tensor is given as it is, or flattened."""
    return tuple(shape) == tuple(given) or (len(given) == 1 and given[0] == torch.Size(shape).numel())


def _inside(end: Node, given: Origin | None) -> set[Node]:
    """Returns the nodes of a call, which lie between its output and its input."""
    seen, stack = {end}, [end]
    while stack:
        for child, number in stack.pop().next_functions:
            if child is not None and child not in seen and (given is None or through_views(child, number) != given):
                seen.add(child)
                stack.append(child)
    return seen


def _resolve(found: _Found, at: Origin) -> int | None:
    """Returns the number of the node that made a tensor, which may be a sum, a mean or a function of known ones."""
    if at in found.by_output:
        return found.by_output[at]
    node, name = at[0], at[0].name()
    if name not in ("AddBackward0", "MeanBackward1", *FUNCTIONS):
        return None
    edges = [edge for edge in node.next_functions if edge[0] is not None]
    before = [i for edge in edges if (i := _resolve(found, through_views(*edge))) is not None]  # type: ignore[arg-type]
    if not before or len(before) < len(edges):
        return None
    first = found.nodes[before[0]]
    if name in FUNCTIONS:
        return found.add(SignalNode("act", FUNCTIONS[name](), tuple(before), first.shape, first.shape), at)
    if name == "MeanBackward1":
        ndim = 1 + len(first.shape)
        axes = {axis % ndim if axis < 2**63 else (axis - 2**64) % ndim for axis in node._saved_dim}  # type: ignore[attr-defined]
        if ndim < 3 or axes != set(range(2, ndim)):
            return None
        return found.add(SignalNode("mean", None, tuple(before), first.shape, first.shape[:1]), at)
    same = len(before) == 2 and found.nodes[before[1]].shape == first.shape
    # Independent summands: no two ways to the same weights.
    if not same or found.sources[before[0]] & found.sources[before[1]] or node._saved_alpha != 1:  # type: ignore[attr-defined]
        return None
    return found.add(SignalNode("add", None, tuple(before), first.shape, first.shape), at)


def _closed(found: _Found, users: dict[Node, list[Node]], number: int) -> SignalNode:
    def explains(node: Node) -> bool:
        return all(
            user in found.explained or (user.name() in VIEWS and explains(user) and bool(users[user]))
            for user in users[node]
        )

    return replace(found.nodes[number], is_whole=bool(users[found.ends[number]]) and explains(found.ends[number]))
