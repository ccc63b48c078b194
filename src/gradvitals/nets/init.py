"""Initializers by name, as Keras defines them.

They draw the weights of linear and convolution layers and do not change norm layers and embeddings. fan_in and fan_out
include the receptive field of a convolution. To add an initializer, add an entry to :data:`INITIALIZERS` and a file to
``conf/init/``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.activations import gain, lookup

TRUNCATED_STD = 0.87962566103423978  # standard deviation of a standard normal truncated to [-2, 2]
LAYERS = (nn.Linear, nn.modules.conv._ConvNd)
LSUV_TOLERANCE, LSUV_ATTEMPTS = 0.01, 10  # distance of a layer's variance from 1, and corrections per layer


def fans(weight: Tensor) -> tuple[int, int]:
    """Returns ``(fan_in, fan_out)`` of a weight of shape ``(out, in, *kernel)``.

    Example:
        >>> fans(torch.empty(8, 4, 3, 3))
        (36, 72)
    """
    field = math.prod(weight.shape[2:])
    return weight.shape[1] * field, weight.shape[0] * field


@torch.no_grad()
def variance_scaling_(
    weight: Tensor, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal"
) -> Tensor:
    """Draws weights of variance ``scale / n`` in place: Keras' ``VarianceScaling``.

    Args:
        weight: shape ``(out, in, *kernel)``.
        scale: positive.
        mode: selects n: ``fan_in``, ``fan_out`` or their mean ``fan_avg``.
        distribution: ``uniform``; ``untruncated_normal``; ``truncated_normal``, truncated at two standard deviations
            and widened by 1 / 0.87962566, so that the variance is exact.

    Raises:
        ValueError: unknown mode or distribution, or a scale that is not positive.

    Example:
        >>> w = variance_scaling_(torch.empty(500, 200), scale=2.0)
        >>> abs(w.var().item() * 200 / 2 - 1) < 0.02
        True
    """
    fan_in, fan_out = fans(weight)
    sizes = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if mode not in sizes:
        raise ValueError(f"init.mode: expected one of {', '.join(sizes)}; got {mode!r}")
    if scale <= 0:
        raise ValueError(f"init.scale: expected a positive number; got {scale}")
    std = math.sqrt(scale / sizes[mode])
    if distribution == "uniform":
        return weight.uniform_(-math.sqrt(3) * std, math.sqrt(3) * std)
    if distribution == "untruncated_normal":
        return weight.normal_(0, std)
    if distribution == "truncated_normal":
        wide = std / TRUNCATED_STD
        # torch's bounds are not in units of the standard deviation.
        return nn.init.trunc_normal_(weight, std=wide, a=-2 * wide, b=2 * wide)
    expected = "uniform, truncated_normal, untruncated_normal"
    raise ValueError(f"init.distribution: expected one of {expected}; got {distribution!r}")


def uniform_(weight: Tensor, low: float = -0.05, high: float = 0.05) -> Tensor:
    """Draws from a uniform distribution in place: Keras' ``RandomUniform``."""
    return nn.init.uniform_(weight, low, high)


def normal_(weight: Tensor, std: float = 0.05) -> Tensor:
    """Draws from a normal distribution of mean 0 in place: Keras' ``RandomNormal``."""
    return nn.init.normal_(weight, std=std)


@torch.no_grad()
def delta_orthogonal_(weight: Tensor) -> Tensor:
    """Draws a convolution that is an orthogonal map of each pixel in place (Xiao et al., 2018, arXiv:1806.05393).

    The center tap is orthogonal and the others are 0, so that circular padding with stride 1 makes an isometry. With
    more inputs than outputs no map is one: the rows are orthonormal then, and the layer projects.

    Args:
        weight: shape ``(out, in, *kernel)``. The center of an even kernel is the earlier of its two middle taps, and
            a linear layer is all center: its weights are orthogonal.

    Example:
        >>> delta_orthogonal_(torch.empty(1, 1, 3)).abs()
        tensor([[[0., 1., 0.]]])
    """
    center = weight.zero_()
    for size in weight.shape[2:]:
        center = center.select(2, (size - 1) // 2)
    center.copy_(nn.init.orthogonal_(torch.empty_like(center)))
    return weight


INITIALIZERS: dict[str, Callable[..., Tensor]] = {
    "default": lambda weight: weight,  # torch has drawn U(+-1/sqrt(fan_in)) for weights and biases
    "he_uniform": partial(variance_scaling_, scale=2.0, distribution="uniform"),  # He et al., 2015
    "he_normal": partial(variance_scaling_, scale=2.0),
    "glorot_uniform": partial(variance_scaling_, mode="fan_avg", distribution="uniform"),  # Glorot & Bengio, 2010
    "glorot_normal": partial(variance_scaling_, mode="fan_avg"),
    "lecun_uniform": partial(variance_scaling_, distribution="uniform"),  # LeCun et al., 1998
    "lecun_normal": variance_scaling_,
    "orthogonal": nn.init.orthogonal_,  # Saxe, McClelland & Ganguli, 2014
    "delta_orthogonal": delta_orthogonal_,
    "variance_scaling": variance_scaling_,
    "uniform": uniform_,
    "normal": normal_,
    "lsuv": nn.init.orthogonal_,  # lsuv_ then scales the weights with data
}
OWN_ARGUMENTS = ("variance_scaling", "uniform", "normal")


def auto(act: str, **params: float | str) -> Callable[[Tensor], Tensor]:
    """Returns the initializer that suits an activation: He's for rectifiers, LeCun's for SELU, else Glorot's.

    He's and Glorot's use the activation's own gain (:func:`gradvitals.activations.gain`).

    Example:
        >>> abs(auto("relu")(torch.empty(500, 200)).var().item() * 200 / 2 - 1) < 0.02
        True
    """
    scale = gain(act, **params) ** 2
    if lookup(act).family in ("rectifier", "self_normalizing"):
        return partial(variance_scaling_, scale=scale)
    return partial(variance_scaling_, scale=scale, mode="fan_avg", distribution="uniform")


def initializer(name: str, act: Mapping[str, Any] | None = None, **arguments: Any) -> Callable[[Tensor], Tensor]:
    """Returns the function that draws one weight in place.

    Args:
        name: ``auto`` or a key of :data:`INITIALIZERS`.
        act: name and parameters of the activation, for ``auto``.
        **arguments: the initializer's own (``low``, ``high``, ``std``, ``scale``, ``mode``, ``distribution``).

    Raises:
        ValueError: an unknown name or argument, or ``auto`` without an activation.
    """
    if name == "auto":
        if act is None:
            raise ValueError("init=auto needs the activation's name, which this network does not set. Set init=NAME")
        return auto(**{"act" if key == "name" else key: value for key, value in act.items()})
    if name not in INITIALIZERS:
        close = get_close_matches(str(name), INITIALIZERS, n=3, cutoff=0.4) or ["auto", *INITIALIZERS]
        raise ValueError(f"init: expected one of {', '.join(close)}; got {name!r}. Set it by init=NAME")
    function = INITIALIZERS[name]
    takes = list(signature(function).parameters)[1:] if name in OWN_ARGUMENTS else []
    if unknown := sorted(set(arguments) - set(takes)):
        accepted = ", ".join([*takes, "gain", "bias", "output"])
        raise ValueError(f"init={name} takes {accepted}; got {', '.join(unknown)}")
    return partial(function, **arguments)


@torch.no_grad()
def initialize(
    module: nn.Module,
    name: str = "auto",
    *,
    act: Mapping[str, Any] | None = None,
    gain: float = 1.0,
    bias: str | float | None = None,
    output: str | None = None,
    **arguments: Any,
) -> None:
    """Draws every linear and convolution weight of a module in place.

    Args:
        module: any network; its last linear or convolution layer is the output layer.
        name: see :func:`initializer`.
        act: the activation, as ``{"name": "elu"}`` and its parameters.
        gain: a factor on the drawn weights.
        bias: ``zeros``; ``default`` keeps torch's values; a number is the standard deviation of a normal distribution,
            sigma_b of mean-field theory; None: zeros, except under ``name="default"``.
        output: the initializer of the output layer; None: the same.
        **arguments: the initializer's own.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        >>> initialize(net, "he_normal")
        >>> net[0].bias.abs().sum().item()
        0.0
    """
    if isinstance(bias, str) and bias not in ("zeros", "default"):
        raise ValueError(f"init.bias: expected zeros, default or a standard deviation; got {bias!r}")
    layers = [layer for layer in module.modules() if isinstance(layer, LAYERS)]
    draw = initializer(name, act, **arguments)
    draw_output = initializer(output, act) if output else draw
    if bias is None:
        bias = "default" if name == "default" else "zeros"
    for layer in layers:
        weight = layer.weight
        for group in weight.chunk(getattr(layer, "groups", 1)):  # each group maps its own channels
            (draw_output if layer is layers[-1] else draw)(group).mul_(gain)
        if layer.bias is not None:
            _draw_bias(layer.bias, bias)


def _draw_bias(values: Tensor, bias: str | float) -> None:
    if bias == "zeros":
        nn.init.zeros_(values)
    elif bias != "default":
        nn.init.normal_(values, std=float(bias))


@torch.no_grad()
def lsuv_(module: nn.Module, batch: Tensor, *, gain: float = 1.0, output: bool = True) -> None:
    """Scales each layer until its output has variance 1: layer-sequential unit variance (Mishkin & Matas, 2016).

    Args:
        module: an initialized network, orthonormal in the paper.
        gain: a factor on the weights at the end.
        output: whether the last layer is scaled, too.

    Example:
        >>> net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32))
        >>> lsuv_(net, torch.randn(256, 16))
        >>> abs(net(torch.randn(256, 16)).var().item() - 1) < 0.3
        True
    """
    training, buffers = module.training, {name: buffer.clone() for name, buffer in module.named_buffers()}
    module.train()
    outputs: dict[nn.Module, Tensor] = {}  # in the order of the forward pass, in which layers must be scaled
    layers = [layer for layer in module.modules() if isinstance(layer, LAYERS)]
    scaled = layers if output else layers[:-1]
    hooks = [layer.register_forward_hook(lambda layer, _, out: outputs.__setitem__(layer, out)) for layer in scaled]
    try:
        module(batch)
        for layer in list(outputs):
            _scale_to_unit_variance(module, batch, layer, outputs)
    finally:
        for hook in hooks:
            hook.remove()
        module.train(training)
        module.load_state_dict(buffers, strict=False)  # undoes what this batch did to moving statistics
    for layer in scaled:
        layer.weight.mul_(gain)


def _scale_to_unit_variance(
    module: nn.Module, batch: Tensor, layer: nn.Module, outputs: dict[nn.Module, Tensor]
) -> None:
    for _ in range(LSUV_ATTEMPTS):
        module(batch)
        variance = outputs[layer].var().item()
        if not math.isfinite(variance) or variance == 0 or abs(variance - 1) <= LSUV_TOLERANCE:
            return
        layer.weight.div_(math.sqrt(variance))  # type: ignore[operator]


def mismatch(act: str, init: str) -> str | None:
    """Returns a warning if an initializer is known not to suit an activation, else None.

    Example:
        >>> mismatch("selu", "he_normal")
        'act=selu normalizes itself only under init=lecun_normal (Klambauer et al., 2017); got init=he_normal'
    """
    family = lookup(act).family
    if family == "self_normalizing" and init not in ("auto", "lecun_normal", "lecun_uniform", "lsuv"):
        return f"act={act} normalizes itself only under init=lecun_normal (Klambauer et al., 2017); got init={init}"
    if family == "saturating" and init.startswith("he_"):
        return f"init={init} is for rectifiers, but act={act} saturates; init=auto or init=glorot_uniform suits it"
    return None
