"""Recurrent layers unrolled by hand, for what their gradients must be."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def one_step(kind: str, x: Tensor, state: tuple[Tensor, Tensor], weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The formulas of a cell: Elman 1990; Hochreiter & Schmidhuber 1997 with a forget gate; Cho et al. 2014."""
    of_input, of_state, input_bias, state_bias = weights
    h, c = state
    ours, theirs = x @ of_input.T + input_bias, h @ of_state.T + state_bias
    if kind == "rnn":
        return (ours + theirs).tanh(), c
    if kind == "lstm":
        i, f, g, o = (ours + theirs).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    (r, z, n), (r_h, z_h, n_h) = ours.chunk(3, dim=-1), theirs.chunk(3, dim=-1)
    r, z = (r + r_h).sigmoid(), (z + z_h).sigmoid()
    return (1 - z) * (n + r * n_h).tanh() + z * h, c


def unrolled(kind: str, layer: nn.RNNBase, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Outputs ``(batch, steps, features)``, and the input of each step, which keeps its gradient."""
    leaves = [x[:, step].clone().requires_grad_() for step in range(x.shape[1])]
    values = leaves
    for depth in range(layer.num_layers):
        outputs = []
        for direction in ("", "_reverse")[: 1 + layer.bidirectional]:
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = [getattr(layer, f"{name}_l{depth}{direction}") for name in names]
            h = c = torch.zeros(len(x), layer.hidden_size, dtype=x.dtype)
            found = []
            for value in reversed(values) if direction else values:
                h, c = one_step(kind, value, (h, c), weights)
                found.append(h)
            outputs.append(found[::-1] if direction else found)
        values = [torch.cat(parts, dim=-1) for parts in zip(*outputs, strict=True)]
    return torch.stack(values, dim=1), leaves
