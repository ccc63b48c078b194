"""Finds the layers of a network, in the order of the forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from gradvitals.vitals.hooks import Hooked, Wrap, unchanged

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


class UnmatchedPattern(ValueError):
    """A pattern matches no layer; the message lists names that are close to it.

    Example:
        >>> find_layers(nn.Sequential(nn.Linear(4, 8)), include=["1"])
        Traceback (most recent call last):
        ...
        gradvitals.vitals.layers.UnmatchedPattern: ... expected the dotted name of a layer ... such as 0; got '1'
    """


@dataclass(frozen=True)
class Layer:
    """A module that has a weight of two or more axes.

    Attributes:
        name: dotted name inside the network.
        index: position in the order of the first forward pass.
        label: ``{zero-padded index}.{name}``, the LAYER of tags and files.
        kind: the module's class, such as ``Linear``.
        fan_in: inputs of one output unit; 0 for an uninitialized lazy weight.
        weights: its own weights. Most layers have one, of shape ``(out, in, ...)``. Recurrent layers and attention have
            several; for parametrized weights (spectral and weight norm), it is the parameters behind them.
        module: the module itself.

    Example:
        >>> layer = find_layers(nn.Sequential(nn.Linear(4, 8)))[0]
        >>> layer.label, layer.kind, layer.fan_in, layer.weights[0].shape
        ('00.0', 'Linear', 4, torch.Size([8, 4]))
    """

    name: str
    index: int
    label: str
    kind: str
    fan_in: int
    module: nn.Module | None = field(default=None, repr=False, compare=False)
    weights: tuple[nn.Parameter, ...] = field(default=(), repr=False, compare=False)

    def alone(self) -> Layer:
        """Returns the layer without its module and weights, as plain values."""
        return replace(self, module=None, weights=())


def weights(module: nn.Module) -> tuple[nn.Parameter, ...]:
    """Returns a module's own weights: parameters of two or more axes whose name contains "weight"; a norm's gain.

    Other parameters of two or more axes, such as a class token or a table of positions, belong to no layer.

    Example:
        >>> [tuple(weight.shape) for weight in weights(nn.LSTM(3, 4))]
        [(16, 3), (16, 4)]
    """
    axes = 1 if isinstance(module, NORMS) else 2
    named = {n: p for n, p in module.named_parameters(recurse=False) if "weight" in n}
    if is_parametrized(module):
        for name, computed in module.parametrizations.items():  # type: ignore[union-attr, operator]
            named |= {f"{name}.{n}": p for n, p in computed.named_parameters(recurse=False) if "weight" in name}
    return tuple(p for p in named.values() if is_lazy(p) or p.ndim >= axes)


def is_layer(module: nn.Module, norm_layers: bool = False) -> bool:
    """Returns whether a module has a weight of two or more axes, or with ``norm_layers`` is a norm with a gain.

    Example:
        >>> [is_layer(module) for module in (nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU())]
        [True, False, False]
    """
    if isinstance(module, ParametrizationList) or (isinstance(module, NORMS) and not norm_layers):
        return False
    return bool(weights(module))


def find_layers(
    network: nn.Module,
    order: Iterable[nn.Module] = (),
    norm_layers: bool = False,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
) -> list[Layer]:
    """Returns the layers of a network by depth.

    Args:
        order: modules in the order of their first call (:class:`ForwardOrder`). A layer that was not called follows its
            parent if that contains no called layer (attention uses the weight of ``out_proj`` without calling it); the
            others come last, in the order of registration.
        norm_layers: whether norms with a gain are layers, too.
        include, exclude: patterns of names, see :func:`matches`; None includes all.

    Raises:
        UnmatchedPattern: a pattern matches no layer.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        >>> [layer.label for layer in find_layers(net)]
        ['00.0', '01.2']
    """
    found = {_plain(name): module for name, module in network.named_modules() if is_layer(module, norm_layers)}
    for pattern in (*(include or ()), *exclude):
        _check_pattern(pattern, found)
    kept = {
        name: module
        for name, module in found.items()
        if (include is None or matches(name, include)) and not matches(name, exclude)
    }
    names = _by_depth(network, kept, list(dict.fromkeys(order)))
    digits = max(2, len(str(len(names) - 1)))
    return [_describe(name, i, f"{i:0{digits}d}.{name}", kept[name]) for i, name in enumerate(names)]


def outputs_of(layers: Sequence[Layer]) -> int | None:
    """Returns the number of outputs of the last layer if that is linear, else None.

    Example:
        >>> outputs_of(find_layers(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))))
        3
    """
    last = layers[-1] if layers else None
    return last.weights[0].shape[0] if last is not None and last.kind == "Linear" and last.weights else None


def _describe(name: str, index: int, label: str, module: nn.Module) -> Layer:
    own = weights(module)
    fan_in = 0 if is_lazy(own[0]) else own[0][0].numel()
    kind = type(module).__name__.removeprefix("FSDP")  # the prefix that FSDP2 adds to the class of sharded modules
    return Layer(name, index, label, kind, fan_in, module, own)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Returns whether a pattern matches the dotted name of a module or of one that contains it; ``*`` is a wildcard.

    Args:
        name: dotted, such as ``encoder.fc1``.
        patterns: dotted names, in which ``*`` matches anything.

    Example:
        >>> matches("fc1", ["fc1"]), matches("fc1.0", ["fc1"]), matches("fc10", ["fc1"])
        (True, True, False)
    """
    ancestors = list(accumulate(name.split("."), "{}.{}".format))
    return any(fnmatchcase(ancestor, pattern) for pattern in patterns for ancestor in ancestors)


def _check_pattern(pattern: str, found: dict[str, nn.Module]) -> None:
    if not any(matches(name, [pattern]) for name in found):
        close = get_close_matches(pattern, found, n=3, cutoff=0.3) or list(found)[:3]
        raise UnmatchedPattern(
            "monitor.include, monitor.exclude: expected the dotted name of a layer or of a module that contains one, "
            f"such as {', '.join(close) or '(there is no layer)'}; got {pattern!r}"
        )


def _by_depth(network: nn.Module, layers: dict[str, nn.Module], order: list[nn.Module]) -> list[str]:
    position = {module: i for i, module in enumerate(order)}
    named = {_plain(name): module for name, module in network.named_modules()}
    called = {name for name, module in layers.items() if module in position}

    def depth(name: str) -> float:
        if name in called:
            return position[layers[name]]
        parent = name.rpartition(".")[0]
        alone = not any(other.startswith(f"{parent}." if parent else "") for other in called)
        return position[named[parent]] + 0.5 if named[parent] in position and alone else len(order)

    return sorted(layers, key=depth)  # stable: the others stay in the order of registration


def _plain(name: str) -> str:
    """Removes what ``torch.compile`` adds to names."""
    return name.replace("_orig_mod.", "").removesuffix("_orig_mod").removesuffix(".")


class ForwardOrder(Hooked):
    """Records the order in which the modules of a network are first called.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
        >>> order = ForwardOrder(net)
        >>> _ = net(torch.zeros(1, 4)); order.close()
        >>> [type(module).__name__ for module in order.modules]
        ['Sequential', 'Linear', 'Linear']
    """

    def __init__(self, network: nn.Module, wrap: Wrap = unchanged) -> None:
        self.modules: dict[nn.Module, None] = {}
        called = wrap(self._called)
        self._hooks = [m.register_forward_pre_hook(called) for m in network.modules()]

    def _called(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.modules.setdefault(module)
