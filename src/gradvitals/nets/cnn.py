"""A convolutional network composed of convolutions, norms and activations, with pooling between its stages.

Shapes: ``x`` is ``(batch, channels, height, width)``, or anything that can be viewed so; every tensor between layers
has ``width`` channels.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from gradvitals.activations import activation
from gradvitals.nets.mlp import Residual
from gradvitals.nets.normalization import Norm, image_norm

POOLS: dict[str, Callable[[int], nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
CHOICES = {"padding": ("zeros", "circular"), "pool": (*POOLS, "stride"), "readout": ("mean", "pixels")}


def conv_layer(
    in_channels: int,
    channels: int,
    act: Callable[[], nn.Module],
    *,
    kernel: int = 3,
    stride: int = 1,
    padding: str = "zeros",
    norm: Norm | None = None,
) -> nn.Sequential:
    """Returns a convolution that keeps the size of an image (stride 1) or halves it (stride 2), a norm, an activation.

    Example:
        >>> [name for name, _ in conv_layer(3, 8, nn.ReLU).named_children()]
        ['conv', 'act']
    """
    bias = norm is None  # which a norm would cancel
    mode: Any = padding
    conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, padding_mode=mode, bias=bias)
    parts = {"conv": conv, "norm": norm(channels) if norm else None, "act": act()}
    return nn.Sequential(OrderedDict((name, part) for name, part in parts.items() if part is not None))


class CNN(nn.Module):
    """Convolutional network ``(batch, channels, height, width) -> (batch, out_features)``.

    The layers are divided into stages of equal length; each stage after the first works on an image of half the size.
    The last layer is read into the head.

    Args:
        in_shape: ``(channels, height, width)`` of one image.
        out_features: outputs of the head (logits); with ``head=False`` what is read of the last layer is the output.
        depth, width: number of convolutions and their channels.
        kernel: an odd size of the kernels.
        act: a name of :data:`gradvitals.activations.ACTIVATIONS`, or a factory of modules.
        norm: a name of :data:`gradvitals.nets.normalization.IMAGE_NORMS` between each convolution, which has no bias
            then, and its activation; or None.
        residual: whether each layer adds its input to its output (He et al., 2016).
        padding: ``zeros``, or ``circular``, with which a delta-orthogonal convolution is an isometry.
        stages: 1 for images that keep their size.
        pool: how an image is halved between stages: ``max`` or ``avg`` of 2 x 2 pixels, or ``stride`` 2 of the next
            convolution.
        readout: what is read of the last layer: ``mean``, of each channel over the pixels, or ``pixels``, all of them.
        head: whether an output layer follows the readout.

    Raises:
        ValueError: an unknown name, an even kernel, inputs that are no images, or images that are too small.

    Example:
        >>> import torch
        >>> net = CNN((1, 8, 8), 10, depth=4, width=16, stages=2, norm="batch")
        >>> net(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        *,
        depth: int = 6,
        width: int = 32,
        kernel: int = 3,
        act: str | Callable[[], nn.Module] = "relu",
        norm: str | None = None,
        residual: bool = False,
        padding: str = "zeros",
        stages: int = 3,
        pool: str = "max",
        readout: str = "mean",
        head: bool = True,
    ) -> None:
        super().__init__()
        self.in_shape = _image_shape(in_shape)
        _check(depth, kernel, stages, padding=padding, pool=pool, readout=readout)
        last_size = _last_size(self.in_shape, kernel, padding, stages, pool)
        make_act = activation(act) if isinstance(act, str) else act
        make_norm = None if norm is None else image_norm(norm)

        starts = {stage * depth // stages for stage in range(1, stages)}
        self.layers = nn.Sequential()
        channels = self.in_shape[0]
        for place in range(depth):
            if place in starts and pool != "stride":
                self.layers.append(POOLS[pool](2))
            stride = 2 if place in starts and pool == "stride" else 1
            layer = conv_layer(channels, width, make_act, kernel=kernel, stride=stride, padding=padding, norm=make_norm)
            self.layers.append(Residual(layer, _shortcut(channels, width, stride)) if residual else layer)
            channels = width
        self.readout = nn.Sequential(*([nn.AdaptiveAvgPool2d(1)] if readout == "mean" else []), nn.Flatten())
        features = channels if readout == "mean" else channels * math.prod(last_size)
        self.head = nn.Linear(features, out_features) if head else None
        self.out_features = out_features if head else features

    def forward(self, x: Tensor) -> Tensor:
        x = self.readout(self.layers(x.flatten(1).unflatten(1, self.in_shape)))
        return x if self.head is None else self.head(x)


def _shortcut(in_channels: int, channels: int, stride: int) -> nn.Module:
    same = in_channels == channels and stride == 1
    return nn.Identity() if same else nn.Conv2d(in_channels, channels, 1, stride, bias=False)


def _image_shape(in_shape: Sequence[int]) -> tuple[int, int, int]:
    if len(in_shape) != 3:
        raise ValueError(
            f"model=cnn: expected images (channels, height, width); the data has samples of shape {tuple(in_shape)}. "
            "Set data=digits, fashion_mnist, mnist or cifar10, or another model"
        )
    channels, height, width = in_shape
    return channels, height, width


def _check(depth: int, kernel: int, stages: int, **choices: str) -> None:
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"model.kernel: expected an odd integer of at least 1; got {kernel}")
    if not 1 <= stages <= max(1, depth):
        raise ValueError(f"model.stages: expected 1 to {max(1, depth)}, a layer for each (model.depth); got {stages}")
    for key, value in choices.items():
        if value not in CHOICES[key]:
            raise ValueError(f"model.{key}: expected one of {', '.join(CHOICES[key])}; got {value!r}")


def _last_size(in_shape: tuple[int, int, int], kernel: int, padding: str, stages: int, pool: str) -> tuple[int, int]:
    """Returns the height and width of the images of the last stage, in which the kernels must fit."""
    height, width = in_shape[1:]
    for _ in range(stages - 1):
        height, width = (-(-size // 2) if pool == "stride" else size // 2 for size in (height, width))
    size = min(height, width)
    if size < 1:
        most = min(in_shape[1:]).bit_length()
        raise ValueError(
            f"model.stages: expected at most {most} for images of {in_shape[1]} x {in_shape[2]} pixels, which each "
            f"stage after the first halves; got {stages}"
        )
    if padding == "circular" and kernel // 2 > size:
        raise ValueError(
            f"model.kernel: expected at most {2 * size + 1}, because circular padding goes once around the {size} "
            f"pixels of the last stage; got {kernel}. Set model.kernel, fewer model.stages or model.padding=zeros"
        )
    return height, width
