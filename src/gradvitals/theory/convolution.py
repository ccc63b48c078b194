"""Convolutions as theory sees them: how they spread mean squares over the positions of an image or a sequence.

With independent weights of variance ``v_t / fan`` for each tap ``t``, the mean square of the output at a position is
the sum over taps of ``v_t`` times the mean square of the input there (Xiao et al., 2018). The squared gradient, summed
over channels, goes back by the transposed map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@dataclass(frozen=True)
class Convolution:
    """A convolution with random weights.

    Attributes:
        taps: ``input channels of a group * Var W`` of each tap, float64, shape ``(*kernel)``.
        bias: variance of the bias.
        stride, dilation: per axis.
        padding: per axis, or ``same``.
        mode: of the padding: ``zeros``, ``circular``, ``reflect`` or ``replicate``.

    Example:
        >>> ones = torch.ones(3, 3, dtype=torch.float64)
        >>> Convolution(ones, padding=(1, 1))(torch.ones(2, 2, dtype=torch.float64))  # 4 of 9 taps are inside
        tensor([[4., 4.],
                [4., 4.]], dtype=torch.float64)
    """

    taps: Tensor
    bias: float = 0.0
    stride: Sequence[int] = (1,)
    padding: Sequence[int] | str = (0,)
    dilation: Sequence[int] = (1,)
    mode: str = "zeros"

    def __call__(self, square: Tensor) -> Tensor:
        """Returns the mean square by position of the output, without the bias, from that of the input."""
        if not self.taps.ndim:
            return self.taps * square
        x, convolve = square[None, None], CONVOLUTIONS[self.taps.ndim]
        padding = self.padding
        if self.mode != "zeros":
            x, padding = F.pad(x, self._ends(), mode=self.mode), (0,) * self.taps.ndim
        settings: dict[str, Any] = {"stride": tuple(self.stride), "padding": padding, "dilation": tuple(self.dilation)}
        return convolve(x, self.taps[None, None], **settings)[0, 0]

    @torch.inference_mode(False)
    def common(self, square: Tensor, common: float) -> float:
        """Returns the mean square, over channels, of the output's mean over positions, without the bias.

        Args:
            square, common: the input's mean square by position, and the mean square of its channels' means.

        Example:
            >>> ones = torch.ones(3, dtype=torch.float64)
            >>> Convolution(ones, padding=(1,))(torch.ones(2, dtype=torch.float64)).tolist()
            [2.0, 2.0]
            >>> Convolution(ones, padding=(1,)).common(torch.ones(2, dtype=torch.float64), 1.0)  # 1/4 + 1 + 1/4
            1.5
        """
        mean = square.sqrt() / square.sqrt().mean() if square.max() > 0 else square
        with torch.enable_grad():
            taps = self.taps.detach().clone().requires_grad_()
            (seen,) = torch.autograd.grad(replace(self, taps=taps)(mean.detach().clone()).mean(), taps)
        return common * (self.taps * seen.square()).sum().item()  # each tap has weights of its own

    def _ends(self) -> list[int]:
        """Returns the padding before and after each axis, last axis first, as ``F.pad`` expects it."""
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.taps.shape, strict=True)]
            pairs = [(total // 2, total - total // 2) for total in totals]
        else:
            pairs = [(int(size), int(size)) for size in self.padding]
        return [end for pair in reversed(pairs) for end in pair]


@torch.inference_mode(False)
def transposed(forward: Callable[[Tensor], Tensor], shape: Sequence[int], gradient: Tensor) -> Tensor:
    """Maps a squared gradient backward through a linear map of positions: multiplies it by the transpose.

    Args:
        shape: of the map's input.
        gradient: of the shape of its output.

    Example:
        >>> transposed(lambda x: x[:1], [2], torch.ones(1, dtype=torch.float64))
        tensor([1., 0.], dtype=torch.float64)
    """
    with torch.enable_grad():
        x = torch.ones(tuple(shape), dtype=torch.float64, device=gradient.device, requires_grad=True)
        (found,) = torch.autograd.grad(forward(x), x, gradient.clone())
    return found
