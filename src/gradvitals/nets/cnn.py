"""A convolutional network of equal layers, for images.

Shapes: ``x`` is ``(batch, channels, height, width)``, or flattened; every tensor between layers is
``(batch, width, height, width)``, smaller after each pooling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from gradvitals.activations import activation
from gradvitals.nets.mlp import BLOCKS

NORMS: dict[str | None, Callable[[int], nn.Module]] = {
    None: lambda width: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "layer": lambda width: nn.GroupNorm(1, width),
    "instance": nn.InstanceNorm2d,
}
PADDINGS = ("zeros", "circular", "reflect", "replicate")


class CNN(nn.Module):
    """Convolutional network ``(batch, channels, height, width) -> (batch, out_features)``.

    A convolution to ``width`` channels, then ``depth - 1`` blocks, each a convolution with a norm and an activation;
    the mean over all positions; a linear head.

    Args:
        in_shape: ``(channels, height, width)`` of one image.
        out_features: outputs of the head.
        depth, width: number of convolutions, and channels of each.
        kernel: side of the square kernels, an odd number, so that a convolution keeps the size of the image.
        act: a name of :data:`gradvitals.activations.ACTIVATIONS`, or a factory of modules.
        norm: ``batch``, ``layer``, ``instance`` or None, before each activation.
        block: ``plain``, ``residual`` or ``rezero``, around each convolution but the first, as in
            :class:`gradvitals.nets.mlp.MLP`.
        padding: ``zeros``, ``circular``, ``reflect`` or ``replicate``.
        pool: number of 2 x 2 max poolings, evenly distributed.

    Raises:
        ValueError: an unknown name, sizes that do not fit, or data that are no images.

    Example:
        >>> import torch
        >>> net = CNN((1, 8, 8), 10, depth=4, width=16, norm="batch", pool=1)
        >>> net(torch.zeros(2, 64)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        *,
        depth: int = 4,
        width: int = 32,
        kernel: int = 3,
        act: str | Callable[[], nn.Module] = "relu",
        norm: str | None = None,
        block: str = "plain",
        padding: str = "zeros",
        pool: int = 1,
    ) -> None:
        super().__init__()
        _check(in_shape, depth, kernel, pool, norm=(norm, NORMS), block=(block, BLOCKS), padding=(padding, PADDINGS))
        make_act = activation(act) if isinstance(act, str) else act
        self.in_shape, self.out_features = tuple(in_shape), out_features
        pooled = {depth * (i + 1) // (pool + 1) for i in range(pool)}  # after how many convolutions
        layers: list[nn.Module] = []
        for place in range(depth):
            conv = nn.Conv2d(
                width if place else in_shape[0],
                width,
                kernel,
                padding=kernel // 2,
                padding_mode=padding,  # type: ignore[arg-type]
                bias=norm is None,
            )
            branch = nn.Sequential(conv, NORMS[norm](width), make_act())
            layers.append(BLOCKS[block](branch, width, width) if place else branch)
            if place + 1 in pooled:
                layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(width, out_features)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x.reshape(len(x), *self.in_shape))
        return self.head(self.pool(x).flatten(1))


def _check(in_shape: Sequence[int], depth: int, kernel: int, pool: int, **choices: tuple[object, dict | tuple]) -> None:
    if len(in_shape) != 3:
        raise ValueError(
            f"model: expected images (channels, height, width), as of data=digits or data=fashion_mnist; got samples "
            f"of shape {tuple(in_shape)}. Set data=NAME, or model=plain"
        )
    if depth < 1 or kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"model: expected depth of at least 1 and an odd kernel; got depth {depth}, kernel {kernel}")
    least = min(in_shape[1:])
    if not 0 <= pool < depth or least >> pool < 1:
        raise ValueError(
            f"model.pool: expected fewer poolings than convolutions ({depth}), which leave a pixel of {least}; "
            f"got {pool}"
        )
    for key, (value, accepted) in choices.items():
        if value not in accepted:
            names = ", ".join("null" if name is None else str(name) for name in accepted)
            raise ValueError(f"model.{key}: expected one of {names}; got {value!r}")
