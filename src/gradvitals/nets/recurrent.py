"""A recurrent network: one fused layer of torch above the other, a readout and a linear head.

Shapes: ``x`` is ``(batch, steps, features)``, or a ``PackedSequence`` where sequences have different lengths; what
passes between layers is ``(batch, steps, width)``. Each layer is a module of its own, so that hooks see what each
receives and returns. The networks ``model=rnn``, ``lstm`` and ``gru`` are settings of :class:`Recurrent`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gradvitals.activations import activation
from gradvitals.nets.recurrent_init import initialize_recurrent

CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
NONLINEARITIES: dict[type[nn.Module], str] = {nn.Tanh: "tanh", nn.ReLU: "relu"}  # that torch's fused kernel has
NORMS = (None, "layer")
READOUTS = ("auto", "last", "mean", "each")
Sequences = Tensor | PackedSequence


class Recurrent(nn.Module):
    """Recurrent network ``(batch, steps, features) -> (batch, out_features)``.

    Args:
        in_shape: ``(steps, features)`` of one sequence.
        out_features: outputs of the head.
        cell: ``rnn``, ``lstm`` or ``gru``.
        depth, width: number of layers, and the units of each.
        act: of ``rnn``, tanh or ReLU: a name, or a factory of modules. The gates of the others decide theirs.
        norm: ``layer``: LayerNorm between the layers; None.
        readout: what the head receives of the last layer: ``last``, its output at the last step (where
            ``bidirectional``, the last of both directions); ``mean`` over the steps; ``each``, all of them, so that
            the result is ``(batch, steps, out_features)``; ``auto``: ``each`` if ``each_step``, else ``last``.
        bidirectional: whether each layer reads in both directions.
        recurrent_init, recurrent_gain, forget_bias: see
            :func:`gradvitals.nets.recurrent_init.initialize_recurrent`.
        each_step: whether the data have a target for each step.

    Raises:
        ValueError: an unknown name, an activation that the cell does not have, or data that are no sequences.

    Example:
        >>> net = Recurrent((7, 4), 3, cell="gru", width=8, recurrent_init="orthogonal")
        >>> net(torch.zeros(2, 7, 4)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        *,
        cell: str = "gru",
        depth: int = 1,
        width: int = 128,
        act: str | Callable[[], nn.Module] = "tanh",
        norm: str | None = None,
        readout: str = "auto",
        bidirectional: bool = False,
        recurrent_init: str = "default",
        recurrent_gain: float = 1.0,
        forget_bias: float | None = None,
        each_step: bool = False,
    ) -> None:
        super().__init__()
        _check(in_shape, depth, cell=(cell, CELLS), norm=(norm, NORMS), readout=(readout, READOUTS))
        self.readout = ("each" if each_step else "last") if readout == "auto" else readout
        if each_step and self.readout != "each":
            raise ValueError(f"model.readout: expected auto or each, as each step has a target; got {readout!r}")
        options = {"nonlinearity": _nonlinearity(act)} if cell == "rnn" else {}
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        returned = width * (2 if bidirectional else 1)
        for place in range(depth):
            given = returned if place else in_shape[-1]
            layer = CELLS[cell](given, width, batch_first=True, bidirectional=bidirectional, **options)
            initialize_recurrent(layer, recurrent_init, gain=recurrent_gain, forget_bias=forget_bias)
            self.layers.append(layer)
            self.norms.append(nn.LayerNorm(returned) if norm and place < depth - 1 else nn.Identity())
        self.head = nn.Linear(returned, out_features)
        self.width, self.out_features = width, out_features

    def forward(self, x: Sequences) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = _each(norm, layer(x)[0])
        read = _padded(x)[0] if self.readout == "each" else _mean(x) if self.readout == "mean" else self._last(x)
        result: Tensor = self.head(read)
        return result

    def _last(self, x: Sequences) -> Tensor:
        """The outputs ``(batch, width)`` of the last step; of the direction that reads backward, of the first one."""
        values, lengths = _padded(x)
        ends = values[torch.arange(len(values), device=values.device), lengths - 1]
        return torch.cat([ends[:, : self.width], values[:, 0, self.width :]], dim=1)


def _padded(x: Sequences) -> tuple[Tensor, Tensor]:
    """Returns values ``(batch, steps, width)`` and the length of each sequence."""
    if isinstance(x, PackedSequence):
        values, lengths = pad_packed_sequence(x, batch_first=True)
        return values, lengths.to(values.device)
    return x, torch.full((len(x),), x.shape[1], device=x.device)


def _mean(x: Sequences) -> Tensor:
    values, lengths = _padded(x)  # behind a sequence's end are zeros
    return values.sum(1) / lengths.unsqueeze(1)


def _each(module: nn.Module, x: Sequences) -> Sequences:
    """Applies a module to each step; what is packed stays packed."""
    if not isinstance(x, PackedSequence):
        result: Tensor | PackedSequence = module(x)
        return result
    return PackedSequence(module(x.data), x.batch_sizes, x.sorted_indices, x.unsorted_indices)


def _nonlinearity(act: str | Callable[[], nn.Module]) -> str:
    made = activation(act)() if isinstance(act, str) else act()
    if (found := NONLINEARITIES.get(type(made))) is None:
        raise ValueError(f"act: expected tanh or relu, which a plain recurrent cell has; got {type(made).__name__}")
    return found


def _check(in_shape: Sequence[int], depth: int, **choices: tuple[object, object]) -> None:
    if len(in_shape) != 2:
        raise ValueError(
            f"model: expected sequences (steps, features), as of data=sequential_digits or data=adding; got samples of "
            f"shape {tuple(in_shape)}. Set data=sequential_digits, or model=plain"
        )
    if depth < 1:
        raise ValueError(f"model.depth: expected at least one recurrent layer; got {depth}")
    for key, (value, accepted) in choices.items():
        if value not in accepted:  # type: ignore[operator]
            names = ", ".join("null" if name is None else str(name) for name in accepted)  # type: ignore[attr-defined]
            raise ValueError(f"model.{key}: expected one of {names}; got {value!r}")
