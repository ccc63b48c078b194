"""A multilayer perceptron composed of a block, a norm and an activation factory.

Shapes: ``x`` is ``(batch, ...)`` and is flattened to ``(batch, in_features)``; every tensor between layers is
``(batch, width)``. The networks of ``conf/model`` are settings of :class:`MLP`, not classes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.activations import activation
from gradvitals.nets.normalization import Norm, norm

NORM_POSITIONS = ("before_linear", "before_act", "after_act")  # in the order of the forward pass
SKIPS = ("none", "add", "concat")


def hidden_layer(
    in_features: int,
    out_features: int,
    act: Callable[[], nn.Module],
    norm: Norm | None = None,
    position: str = "before_act",
    bias: bool = True,
) -> nn.Sequential:
    """Returns a linear layer and an activation, with a norm before the linear layer, before or after the activation.

    Example:
        >>> [name for name, _ in hidden_layer(4, 8, nn.ReLU, nn.BatchNorm1d).named_children()]
        ['linear', 'norm', 'act']
    """
    parts = [("linear", nn.Linear(in_features, out_features, bias=bias)), ("act", act())]
    if norm:
        width = in_features if position == "before_linear" else out_features
        parts.insert(NORM_POSITIONS.index(position), ("norm", norm(width)))
    return nn.Sequential(OrderedDict(parts))


class Residual(nn.Module):
    """``shortcut(x) + branch(x)``: the shortcut is the identity, or a projection if sizes differ (He et al., 2016)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.shortcut, self.branch = shortcut, branch

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.shortcut(x) + self.branch(x)
        return result


class ReZero(Residual):
    """``shortcut(x) + alpha * branch(x)`` with a learned ``alpha`` that starts at 0 (Bachlechner et al., 2021)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__(branch, shortcut)
        self.alpha = nn.Parameter(torch.zeros(1))  # not a scalar, because FSDP shards along the first axis

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.shortcut(x) + self.alpha * self.branch(x)
        return result


def _shortcut(in_features: int, out_features: int) -> nn.Module:
    return nn.Identity() if in_features == out_features else nn.Linear(in_features, out_features, bias=False)


BLOCKS: dict[str, Callable[[nn.Module, int, int], nn.Module]] = {
    "plain": lambda branch, in_features, out_features: branch,
    "residual": lambda branch, *sizes: Residual(branch, _shortcut(*sizes)),
    "rezero": lambda branch, *sizes: ReZero(branch, _shortcut(*sizes)),
}


class MLP(nn.Module):
    """Multilayer perceptron ``(batch, ...) -> (batch, out_features)``.

    Args:
        in_features: features of one flattened sample.
        out_features: outputs of the head (logits); with ``head=False`` the last hidden layer is the output.
        depth, width: number of hidden layers and their width.
        hidden: one width per hidden layer, instead of ``depth`` and ``width``.
        act: a name of :data:`gradvitals.activations.ACTIVATIONS`, or a factory of modules.
        norm: a name of :data:`gradvitals.nets.normalization.NORMS`, or None.
        norm_position: ``before_linear`` (of each hidden layer, not of the head), ``before_act``, ``after_act``.
        norm_eps, norm_momentum, norm_groups: see :func:`gradvitals.nets.normalization.norm`.
        input_norm: the name of a norm for the input, or True for ``norm`` (``batch`` if that is None).
        bias: whether hidden linear layers have a bias; ``"auto"``: unless a norm follows directly. BatchNorm would
            cancel it, and other norms have their own shift (``rms`` and ``instance`` have none: True keeps the bias).
        block: ``plain``, ``residual`` or ``rezero``, around each hidden layer.
        skip: the input of a layer: ``none``, the previous tensor; ``add``, the sum (of those of equal width), or
            ``concat``, the concatenation of the last ``reach`` tensors (Huang et al., 2017), including the flattened
            input.
        reach: how many tensors; None means all.
        head: whether an output layer follows the hidden ones.

    Raises:
        ValueError: an unknown name, or a size below 1.

    Example:
        >>> net = MLP(4, 3, hidden=[8, 5], norm="batch", act="elu")
        >>> net(torch.zeros(2, 4)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        depth: int = 3,
        width: int = 128,
        hidden: Sequence[int] | None = None,
        act: str | Callable[[], nn.Module] = "relu",
        norm: str | None = None,
        norm_position: str = "before_act",
        norm_eps: float | None = None,
        norm_momentum: float | None = None,
        norm_groups: int | None = None,
        input_norm: str | bool | None = None,
        bias: bool | str = "auto",
        block: str = "plain",
        skip: str = "none",
        reach: int | None = None,
        head: bool = True,
    ) -> None:
        super().__init__()
        hidden = list(hidden) if hidden is not None else [width] * depth
        _check(hidden, norm_position=norm_position, block=block, skip=skip, reach=reach, bias=bias)
        options = {"eps": norm_eps, "momentum": norm_momentum, "groups": norm_groups}
        make_norm = _norm(norm, **options)
        self.skip, self.reach = skip, reach
        self.input_norm = _input_norm(input_norm, norm, options, in_features)
        make_act = activation(act) if isinstance(act, str) else act
        if bias == "auto":
            bias = not (make_norm and norm_position == "before_act")

        self.layers = nn.ModuleList()
        widths = [in_features]
        for size in hidden:
            fan_in = self._gathered_width(widths)
            branch = hidden_layer(fan_in, size, make_act, make_norm, norm_position, bool(bias))
            self.layers.append(BLOCKS[block](branch, fan_in, size))
            widths.append(size)
        self.head = nn.Linear(self._gathered_width(widths), out_features) if head else None
        self.out_features = out_features if head else widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        x = self.input_norm(x.flatten(1))
        if self.skip == "none":
            for layer in self.layers:
                x = layer(x)
            return x if self.head is None else self.head(x)
        tensors = [x]
        for layer in self.layers:
            tensors = self._recent([*tensors, layer(self._gather(tensors))])  # releases the older ones
        return tensors[-1] if self.head is None else self.head(self._gather(tensors))

    def _recent(self, items: list[Any]) -> list[Any]:
        return items[-self.reach :] if self.reach else items

    def _gathered_width(self, widths: list[int]) -> int:
        return sum(self._recent(widths)) if self.skip == "concat" else widths[-1]

    def _gather(self, tensors: list[Tensor]) -> Tensor:
        recent: list[Tensor] = self._recent(tensors)
        newest, *older = recent[::-1]
        if not older:
            return newest
        if self.skip == "concat":
            return torch.cat([newest, *older], dim=1)
        return torch.stack([newest, *(t for t in older if t.shape == newest.shape)]).sum(0)


def _norm(name: str | None, **options: Any) -> Norm | None:
    if name is not None:
        return norm(name, **options)
    given = [f"model.norm_{key}" for key, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{given[0]} needs a norm; got model.norm=null. Set it by model.norm=NAME")
    return None


def _input_norm(
    choice: str | bool | None, hidden_norm: str | None, options: dict[str, Any], in_features: int
) -> nn.Module:
    if not choice:
        return nn.Identity()
    name = (hidden_norm or "batch") if choice is True else choice
    # The options of the hidden norm do not apply to an input norm of another kind.
    return norm(name, **(options if name == hidden_norm else {}))(in_features)


def _check(hidden: list[int], **choices: object) -> None:
    if any(not isinstance(size, int) or size < 1 for size in hidden):
        raise ValueError(f"model.hidden: expected widths of at least 1; got {hidden}")
    known = {"norm_position": NORM_POSITIONS, "block": tuple(BLOCKS), "skip": SKIPS, "bias": ("auto", True, False)}
    for key, accepted in known.items():
        if choices[key] not in accepted:
            names = ", ".join(str(name).lower() for name in accepted)
            raise ValueError(f"model.{key}: expected one of {names}; got {choices[key]!r}")
    reach = choices["reach"]
    if reach is not None and (not isinstance(reach, int) or reach < 1):
        raise ValueError(f"model.reach: expected an integer of at least 1, or null for all; got {reach!r}")
