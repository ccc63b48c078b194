"""Initializers by name, with the meaning that Keras gives to the names.

Weights of linear and convolution layers are drawn; norm layers and embeddings keep what they have. fan_in and fan_out
count the receptive field of a convolution. To add an initializer, add an entry to :data:`INITIALIZERS` and a file to
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


def fans(weight: Tensor) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight of shape ``(out, in, *kernel)``.

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
    """Draw weights of variance ``scale / n`` in place, Keras' ``VarianceScaling``.

    Args:
        weight: shape ``(out, in, *kernel)``.
        scale: positive.
        mode: what n is: ``fan_in``, ``fan_out`` or their mean ``fan_avg``.
        distribution: ``uniform``; ``untruncated_normal``; ``truncated_normal``, cut at two standard deviations and
            widened by 1 / 0.87962566, so that its variance is the one asked for.

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
        # torch's bounds are absolute, not in standard deviations.
        return nn.init.trunc_normal_(weight, std=wide, a=-2 * wide, b=2 * wide)
    expected = "uniform, truncated_normal, untruncated_normal"
    raise ValueError(f"init.distribution: expected one of {expected}; got {distribution!r}")


def uniform_(weight: Tensor, low: float = -0.05, high: float = 0.05) -> Tensor:
    """Uniform between ``low`` and ``high``, Keras' ``RandomUniform``."""
    return nn.init.uniform_(weight, low, high)


def normal_(weight: Tensor, std: float = 0.05) -> Tensor:
    """Normal of mean 0, Keras' ``RandomNormal``."""
    return nn.init.normal_(weight, std=std)


def orthogonal_(weight: Tensor) -> Tensor:
    """Orthonormal rows or columns (Saxe, McClelland & Ganguli, 2014)."""
    return nn.init.orthogonal_(weight)


def _keep(weight: Tensor) -> Tensor:
    """What torch drew: U(+-1/sqrt(fan_in)) for weights and biases."""
    return weight


INITIALIZERS: dict[str, Callable[..., Tensor]] = {
    "default": _keep,
    "he_uniform": partial(variance_scaling_, scale=2.0, distribution="uniform"),  # He et al., 2015
    "he_normal": partial(variance_scaling_, scale=2.0),
    "glorot_uniform": partial(variance_scaling_, mode="fan_avg", distribution="uniform"),  # Glorot & Bengio, 2010
    "glorot_normal": partial(variance_scaling_, mode="fan_avg"),
    "lecun_uniform": partial(variance_scaling_, distribution="uniform"),  # LeCun et al., 1998
    "lecun_normal": variance_scaling_,
    "orthogonal": orthogonal_,
    "variance_scaling": variance_scaling_,
    "uniform": uniform_,
    "normal": normal_,
    "lsuv": orthogonal_,  # the start of lsuv_, which needs data
}
OWN_ARGUMENTS = ("variance_scaling", "uniform", "normal")


def auto(act: str, **params: float | str) -> Callable[[Tensor], Tensor]:
    """The initializer that suits an activation: He's for rectifiers, LeCun's for SELU, Glorot's where it saturates.

    He's and Glorot's are drawn with the activation's own gain (:func:`gradvitals.activations.gain`).

    Example:
        >>> abs(auto("relu")(torch.empty(500, 200)).var().item() * 200 / 2 - 1) < 0.02
        True
    """
    scale = gain(act, **params) ** 2
    if lookup(act).family in ("rectifier", "self_normalizing"):
        return partial(variance_scaling_, scale=scale)
    return partial(variance_scaling_, scale=scale, mode="fan_avg", distribution="uniform")


def initializer(name: str, act: Mapping[str, Any] | None = None, **arguments: Any) -> Callable[[Tensor], Tensor]:
    """The function that draws one weight in place.

    Args:
        name: ``auto`` or a key of :data:`INITIALIZERS`.
        act: name and parameters of the activation, which ``auto`` needs.
        **arguments: the initializer's own (``low``, ``high``, ``std``, ``scale``, ``mode``, ``distribution``).

    Raises:
        ValueError: an unknown name, an argument that it does not take, or ``auto`` without an activation.
    """
    if name == "auto":
        if act is None:
            raise ValueError(
                "init=auto needs the activation's name; this network does not say which. Name an initializer"
            )
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
    """Draw every linear and convolution weight of a module in place.

    Args:
        module: any network; its last linear or convolution layer counts as the output.
        name: see :func:`initializer`.
        act: the activation, as ``{"name": "elu"}`` and its parameters.
        gain: a factor on the drawn weights.
        bias: ``zeros``; ``default`` for torch's draw; a number for a normal draw of that standard deviation, mean-field
            theory's sigma_b; None: zeros, except under ``name="default"``.
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
        (draw_output if layer is layers[-1] else draw)(weight).mul_(gain)
        if layer.bias is not None:
            _draw_bias(layer.bias, bias)


def _draw_bias(values: Tensor, bias: str | float) -> None:
    if bias == "zeros":
        nn.init.zeros_(values)
    elif bias != "default":
        nn.init.normal_(values, std=float(bias))


@torch.no_grad()
def lsuv_(
    module: nn.Module,
    batch: Tensor,
    tolerance: float = 0.01,
    attempts: int = 10,
    *,
    gain: float = 1.0,
    output: bool = True,
) -> None:
    """Layer-sequential unit variance (Mishkin & Matas, 2016): scale each layer until its output has variance 1.

    Args:
        module: a network whose weights are drawn already, orthonormal in the paper.
        batch: one batch of inputs, as ``module`` takes them.
        tolerance: accepted distance of the variance from 1.
        attempts: at most so many corrections per layer.
        gain: a factor on the weights in the end.
        output: whether the last layer is scaled as well.

    Example:
        >>> net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32))
        >>> lsuv_(net, torch.randn(256, 16))
        >>> abs(net(torch.randn(256, 16)).var().item() - 1) < 0.3
        True
    """
    training, buffers = module.training, {name: buffer.clone() for name, buffer in module.named_buffers()}
    module.train()
    seen: dict[nn.Module, Tensor] = {}
    # A dict keeps the order of the forward pass, in which a layer must not be scaled before the ones under it.
    layers = [layer for layer in module.modules() if isinstance(layer, LAYERS)]
    scaled = layers if output else layers[:-1]
    hooks = [layer.register_forward_hook(lambda layer, _, out: seen.__setitem__(layer, out)) for layer in scaled]
    try:
        module(batch)
        for layer in list(seen):
            _scale_to_unit_variance(module, batch, layer, seen, tolerance, attempts)
    finally:
        for hook in hooks:
            hook.remove()
        module.train(training)
        module.load_state_dict(buffers, strict=False)  # moving statistics have not seen this batch
    for layer in scaled:
        layer.weight.mul_(gain)


def _scale_to_unit_variance(
    module: nn.Module, batch: Tensor, layer: nn.Module, seen: dict, tolerance: float, attempts: int
) -> None:
    for _ in range(attempts):
        module(batch)
        variance = seen[layer].var().item()
        if not math.isfinite(variance) or variance == 0 or abs(variance - 1) <= tolerance:
            return
        layer.weight.div_(math.sqrt(variance))  # type: ignore[operator]


def remark(act: str, init: str) -> str | None:
    """What to say of a pairing that trains but is known to suit badly; None where there is nothing to say.

    Example:
        >>> remark("selu", "he_normal")
        'act=selu normalises itself only under init=lecun_normal (Klambauer et al., 2017); got init=he_normal'
    """
    family = lookup(act).family
    if family == "self_normalizing" and init not in ("auto", "lecun_normal", "lecun_uniform", "lsuv"):
        return f"act={act} normalises itself only under init=lecun_normal (Klambauer et al., 2017); got init={init}"
    if family == "saturating" and init.startswith("he_"):
        return f"init={init} is meant for rectifiers; act={act} saturates, init=glorot_uniform suits it; or init=auto"
    return None
