"""The gradient of the loss with respect to the input of a recurrent layer, at each time step.

With fused kernels the gradient of the output at step t is only the loss's own: the path through time is inside the
kernel. That of the input at step t has come all the way back from the steps at which the loss reads the layer.

Sequences of different lengths are aligned at their ends: the last entry of a profile is of the last step of each
sequence, the one before it of the step before. Padding that the layer does not know of counts as steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gradvitals.vitals.activation_gradients import accumulates
from gradvitals.vitals.hooks import Wrap, on_forward, remove, repacked, taken, tensors_in, unchanged, weak
from gradvitals.vitals.norms import wide

LAYERS, CELLS = nn.RNNBase, nn.RNNCellBase


@dataclass
class _Sequence:
    """What one call of a layer reads, or what the calls of a cell read that pass a state on.

    Attributes:
        length: number of time steps, so far.
        is_over: whether a backward pass came back from it.
    """

    length: int
    is_over: bool = False


class TimeGradients:
    """Sums the squares of dL/dx by time step, over batch and features, for recurrent layers and cells.

    Calls are joined as weight gradients are, see :class:`gradvitals.vitals.ActivationGradients`. The calls of a cell
    make one sequence as long as the state that it is given comes from somewhere in the same graph; a state without
    a gradient begins a new one.

    Args:
        modules: ``nn.RNN``, ``nn.LSTM``, ``nn.GRU``, also with packed sequences, and their cells. Others are ignored.
        sharded: those with sharded weights.
        wrap: of hooks.

    Example:
        >>> layer = nn.RNN(1, 1, bias=False, batch_first=True)
        >>> _ = layer.weight_hh_l0.data.fill_(0.5), layer.weight_ih_l0.data.fill_(1.0)
        >>> caught = TimeGradients([layer])
        >>> layer(torch.zeros(1, 3, 1))[0][:, -1].sum().backward()
        >>> caught.take()[layer].sqrt().tolist()  # 0.5 for each step back
        [0.25, 0.5, 1.0]
        >>> caught.close()
    """

    def __init__(
        self, modules: Iterable[nn.Module], sharded: Collection[nn.Module] = (), wrap: Wrap = unchanged
    ) -> None:
        self._sharded = sharded
        self._found: dict[nn.Module, list[tuple[_Sequence, int, Tensor]]] = {}
        self._open: dict[nn.Module, _Sequence] = {}  # of cells, the latest sequence
        self._latest: dict[nn.Module, int] = {}  # the latest backward pass that reached it
        self._guarded_begin, self._guarded, called = wrap(self._begin), wrap(self._add), wrap(self._called)
        watched = [module for module in modules if isinstance(module, (LAYERS, CELLS))]
        self._hooks = [module.register_forward_pre_hook(called, with_kwargs=True) for module in watched]
        self._hooks += on_forward(watched, wrap(self._returned))

    def _called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
        """Replaces the input by an equal tensor whose gradient is that of this call alone."""
        compiles = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if kwargs is None or compiles or not torch.is_grad_enabled():
            return None
        x = args[0] if args else kwargs.get("input")
        values = x.data if isinstance(x, PackedSequence) else x
        if not isinstance(values, Tensor) or not values.is_floating_point() or values.is_inference():
            return None
        if not values.requires_grad and not any(weight.requires_grad for weight in module.parameters()):
            return None  # no gradient comes here, and cuDNN would refuse one in evaluation
        own = values.view_as(values) if values.requires_grad else values.detach().requires_grad_()
        sequence, start, rows = self._place(module, x, args, kwargs)
        arrived = partial(weak(self._arrived), ref(module), sequence, start, rows)
        own.register_hook(arrived)
        given = repacked(x, own) if isinstance(x, PackedSequence) else own
        return ((given, *args[1:]), kwargs) if args else (args, {**kwargs, "input": given})

    def _place(
        self, module: nn.Module, x: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[_Sequence, int, Tensor | int | None]:
        """Returns the sequence of a call, its first step, and the axis of time or the step of each row of packed x."""
        if isinstance(module, CELLS):
            if torch._C._current_graph_task_id() != -1:  # a checkpointed step is computed again
                return _Sequence(1), 0, None
            sequence = self._open.get(module)
            if sequence is None or sequence.is_over or _is_first(args[1] if len(args) > 1 else kwargs.get("hx")):
                sequence = self._open[module] = _Sequence(0)
            sequence.length += 1
            return sequence, sequence.length - 1, None
        if isinstance(x, PackedSequence):
            return _Sequence(len(x.batch_sizes)), 0, _steps_of_rows(x.batch_sizes)
        axis = 1 if module.batch_first and x.ndim == 3 else 0
        return _Sequence(x.shape[axis]), 0, axis

    def _returned(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        for node in dict.fromkeys(tensor.grad_fn for tensor in tensors_in(output)):
            if node is not None:
                node.register_prehook(partial(weak(self._begins), ref(module)))

    def _begins(self, module: ref[nn.Module], gradients: tuple[Tensor | None, ...]) -> None:
        if (known := module()) is not None and not torch.is_grad_enabled():  # not in a pass with create_graph
            self._guarded_begin(known)

    def _begin(self, module: nn.Module) -> None:
        """Drops earlier passes that this one does not add to, before it changes the gradients of the weights."""
        backward = torch._C._current_graph_task_id()
        if backward != self._latest.get(module) and not accumulates(module, self._sharded):
            self._found.pop(module, None)
        self._latest[module] = backward

    def _arrived(
        self, module: ref[nn.Module], sequence: _Sequence, start: int, rows: Tensor | int | None, gradient: Tensor
    ) -> None:
        if (known := module()) is not None and not torch.is_grad_enabled():
            self._guarded(known, sequence, start, rows, gradient)

    def _add(
        self, module: nn.Module, sequence: _Sequence, start: int, rows: Tensor | int | None, gradient: Tensor
    ) -> None:
        squares = _squares(gradient, rows, sequence.length)
        self._found.setdefault(module, []).append((sequence, start, squares))
        sequence.is_over = True

    def take(self, modules: Iterable[nn.Module] | None = None) -> dict[nn.Module, Tensor]:
        """Returns and clears the sums of some modules, or all, since the last call: module -> ``(steps,)``, float64."""
        return {module: _aligned(found) for module, found in taken(self._found, modules).items()}

    def close(self) -> None:
        """Removes the hooks, and forgets what was not taken."""
        remove(self._hooks)
        self._found, self._open, self._latest = {}, {}, {}


def _is_first(state: Any) -> bool:
    first = state[0] if isinstance(state, tuple) else state
    return first is None or first.grad_fn is None


def _steps_of_rows(batch_sizes: Tensor) -> Tensor:
    """Returns the step of each row of a packed sequence's data, aligned at the ends of the sequences.

    Example:
        >>> _steps_of_rows(torch.tensor([2, 1, 1]))  # sequences of three steps and of one
        tensor([0, 2, 1, 2])
    """
    steps = torch.arange(len(batch_sizes))
    step_of = steps.repeat_interleave(batch_sizes)
    starts = batch_sizes.cumsum(0) - batch_sizes
    sequence_of = torch.arange(len(step_of)) - starts[step_of]
    lengths = (batch_sizes.unsqueeze(1) > torch.arange(int(batch_sizes[0]))).sum(0)
    return step_of + len(batch_sizes) - lengths[sequence_of]


def _squares(gradient: Tensor, rows: Tensor | int | None, steps: int) -> Tensor:
    dtype = wide(gradient.device)
    if rows is None:  # one step of a cell
        result: Tensor = torch.linalg.vector_norm(gradient, dtype=dtype).square().reshape(1)
        return result
    if isinstance(rows, int):
        others = [axis for axis in range(gradient.ndim) if axis != rows]
        result = torch.linalg.vector_norm(gradient, dim=others, dtype=dtype).square()
        return result
    each = torch.linalg.vector_norm(gradient, dim=1, dtype=dtype).square()
    return torch.zeros(steps, dtype=dtype, device=each.device).index_add_(0, rows.to(each.device), each)


def _aligned(found: list[tuple[_Sequence, int, Tensor]]) -> Tensor:
    """Adds up the sums of several sequences, aligned at their ends."""
    parts: dict[int, dict[int, Tensor]] = {}
    lengths = {id(sequence): sequence.length for sequence, _, _ in found}
    for sequence, start, squares in found:
        of_sequence = parts.setdefault(id(sequence), {})
        of_sequence[start] = of_sequence[start] + squares if start in of_sequence else squares
    longest, none = max(lengths.values()), torch.zeros_like(found[0][2][:1])
    total = none.repeat(longest)
    for key, of_sequence in parts.items():
        if len(of_sequence) == 1 and len(next(iter(of_sequence.values()))) == lengths[key]:
            whole = of_sequence[0]
        else:
            whole = torch.cat([of_sequence.get(step, none) for step in range(lengths[key])])
        total[longest - len(whole) :] += whole
    return total
