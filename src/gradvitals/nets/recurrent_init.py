"""Initializers of recurrent weights by name.

A recurrent layer of torch keeps the weights of its gates above each other in one matrix, ``(gates * width, width)``.
Each gate is drawn on its own, because a gate is a matrix of its own. To add an initializer, add an entry to
:data:`RECURRENT_INITIALIZERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

import torch
from torch import Tensor, nn

FORGET = 1  # torch's order of an LSTM's gates: input, forget, cell, output


RECURRENT_INITIALIZERS: dict[str, Callable[[Tensor], Tensor]] = {
    "default": lambda weight: weight,  # torch has drawn U(+-1/sqrt(width)), whose standard deviation is .58 of that
    "orthogonal": nn.init.orthogonal_,  # Saxe, McClelland & Ganguli, 2014
    "identity": nn.init.eye_,  # Le, Jaitly & Hinton, 2015
    "glorot": nn.init.xavier_uniform_,  # Glorot & Bengio, 2010
    "gaussian": lambda weight: nn.init.normal_(weight, std=weight.shape[1] ** -0.5),  # of variance 1 / width
}


@torch.no_grad()
def initialize_recurrent(
    layer: nn.RNNBase, name: str = "default", *, gain: float = 1.0, forget_bias: float | None = None
) -> None:
    """Draws the recurrent weights of a layer in place.

    Under every name but ``default``, the weights of the input are drawn by Glorot & Bengio (2010) and biases are 0.

    Args:
        layer: an ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU``.
        name: a key of :data:`RECURRENT_INITIALIZERS`.
        gain: a factor on the recurrent weights.
        forget_bias: bias of an LSTM's forget gate (Gers et al., 2000; Jozefowicz et al., 2015): the sum of torch's two
            biases; None: as drawn.

    Raises:
        ValueError: an unknown name, or ``forget_bias`` of a layer without a forget gate.

    Example:
        >>> layer = nn.LSTM(3, 2)
        >>> initialize_recurrent(layer, "identity", gain=0.5, forget_bias=1.0)
        >>> layer.weight_hh_l0[:2]
        tensor([[0.5000, 0.0000],
                [0.0000, 0.5000]], grad_fn=<SliceBackward0>)
        >>> (layer.bias_ih_l0 + layer.bias_hh_l0).tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    if name not in RECURRENT_INITIALIZERS:
        close = get_close_matches(str(name), RECURRENT_INITIALIZERS, n=3, cutoff=0.4) or RECURRENT_INITIALIZERS
        raise ValueError(f"model.recurrent_init: expected one of {', '.join(close)}; got {name!r}")
    if forget_bias is not None and not isinstance(layer, nn.LSTM):
        raise ValueError(f"model.forget_bias: expected null, as {layer.mode} has no forget gate; got {forget_bias}")
    for key, parameter in layer.named_parameters():
        if key.startswith("weight_hh"):
            for gate in parameter.split(layer.hidden_size):
                RECURRENT_INITIALIZERS[name](gate).mul_(gain)
        elif name != "default" and key.startswith("weight_ih"):
            for gate in parameter.split(layer.hidden_size):
                nn.init.xavier_uniform_(gate)
        elif name != "default" and key.startswith("bias"):
            nn.init.zeros_(parameter)
        if forget_bias is not None and key.startswith("bias"):
            forget = parameter.split(layer.hidden_size)[FORGET]
            nn.init.constant_(forget, forget_bias if key.startswith("bias_ih") else 0.0)
