"""The loss functions that a training step calls, and what their outputs and targets show.

A function mode of torch sees each call of ``torch.nn.functional``'s losses, whatever module makes it. From the tensors
that go in follow the loss of the best constant output, and the loss of the same batch with outputs exchanged between
samples: a network that has learned nothing of its input loses nothing by the exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gradvitals.vitals.function_modes import LooseMode

EXCHANGES = 6  # permutations of a batch, whose losses scatter
DIFFERENCES = {Tensor.sub, Tensor.__sub__, Tensor.__rsub__, torch.sub}
BY_HAND = {
    **dict.fromkeys((Tensor.pow, Tensor.__pow__, torch.pow, Tensor.square, torch.square, Tensor.mul), F.mse_loss),
    **dict.fromkeys((Tensor.abs, torch.abs, Tensor.__abs__), F.l1_loss),
}
MOST_TOGETHER = 100_000  # outputs, above which their exchanges are evaluated one after the other
MOST_CALLS = 16  # looked at in a batch
MOST_COLUMNS = 100_000  # numbers in a target, above which one mean serves them all
SYMMETRIC = {F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss}
BINARY = {F.binary_cross_entropy, F.binary_cross_entropy_with_logits}
INDEXED = {F.cross_entropy, F.nll_loss}
PAIRED = {*SYMMETRIC, *BINARY, *INDEXED, F.poisson_nll_loss, F.gaussian_nll_loss, F.kl_div, F.soft_margin_loss} | {
    F.multi_margin_loss,
    F.multilabel_soft_margin_loss,
    F.hinge_embedding_loss,
}
UNPAIRED = {F.triplet_margin_loss, F.ctc_loss}  # the targets are elsewhere, or of another shape
NEGATIVE = {F.poisson_nll_loss, F.gaussian_nll_loss}  # may be below 0; a nat is their unit
IGNORED_CLASS = -100  # torch's default of ignore_index
IGNORED = ("size_average", "reduce", "reduction")


@dataclass
class LossCall:
    """A call of a loss function.

    Attributes:
        function: of ``torch.nn.functional``.
        outputs: of the network.
        targets: None for losses without a single tensor of them.
        others: further arguments, after those two.
        options: keyword arguments, without the reduction.
    """

    function: Callable[..., Tensor]
    outputs: Tensor
    targets: Tensor | None
    others: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, function: Callable[..., Tensor], args: Sequence[Any], options: Mapping[str, Any]) -> LossCall | None:
        """Reads the arguments of a call; None where they are not those of a loss of a batch."""
        kept = {name: value for name, value in options.items() if name not in IGNORED}
        outputs = args[0] if args else kept.pop("input", None)
        if function in UNPAIRED:
            fits = len(args) > 2 and isinstance(outputs, Tensor)
            return cls(function, outputs, None, tuple(args[1:]), kept) if fits else None
        targets = args[1] if len(args) > 1 else kept.pop("target", None)
        if function in SYMMETRIC and isinstance(targets, Tensor) and targets.requires_grad:
            if outputs.requires_grad:
                return None  # two networks, or two views
            outputs, targets = targets, outputs
        if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or not outputs.ndim or not targets.ndim:
            return None
        return cls(function, outputs, targets, tuple(args[2:]), kept)

    @property
    def batch_axis(self) -> int:
        return 1 if self.function is F.ctc_loss and self.outputs.ndim == 3 else 0

    @property
    def samples(self) -> int:
        return self.outputs.shape[self.batch_axis]

    @property
    def is_indexed(self) -> bool:
        """Whether the targets are numbers of classes."""
        return self.function in INDEXED and self.targets is not None and not self.targets.is_floating_point()

    @property
    def classes(self) -> int:
        return self.outputs.shape[1 if self.outputs.ndim > 1 else 0]

    def loss(self, outputs: Tensor, others: tuple[Any, ...] | None = None) -> Tensor:
        """Returns the mean loss of other outputs with the same targets; shape ``()``."""
        paired = () if self.targets is None else (self.targets,)
        rest = self.others if others is None else others
        return self.function(outputs, *paired, *rest, **self.options, reduction="mean").double()

    def exchanged(self, generator: torch.Generator) -> Tensor:
        """Returns the mean loss as called, and with the outputs in several other orders; shape ``(1 + EXCHANGES,)``."""
        orders = [torch.randperm(self.samples, generator=generator) for _ in range(EXCHANGES)]
        together = torch.stack([torch.arange(self.samples), *orders]).to(self.outputs.device)
        return self._of_orders(together) if self._is_plain else torch.stack(list(map(self._of_order, together)))

    @property
    def _is_plain(self) -> bool:
        """Whether the mean is that of numbers which do not depend on each other, few enough for one call."""
        several = self.others or any(isinstance(option, Tensor) for option in self.options.values())
        if self.targets is None or several or self.outputs.numel() > MOST_TOGETHER:
            return False
        alike = self.function in SYMMETRIC or self.function in BINARY
        return (alike and self.outputs.shape == self.targets.shape) or (self.is_indexed and self.outputs.ndim > 1)

    def _of_orders(self, orders: Tensor) -> Tensor:
        """All of them in one call of the loss function, which costs less than one for each."""
        assert self.targets is not None
        targets = self.targets.repeat(len(orders), *[1] * (self.targets.ndim - 1))
        outputs = self.outputs.index_select(0, orders.flatten())
        each = self.function(outputs, targets, **self.options, reduction="none").double().reshape(len(orders), -1)
        if not self.is_indexed:
            return each.mean(1)
        result: Tensor = each.sum(1) / (self.targets != self.options.get("ignore_index", IGNORED_CLASS)).sum()
        return result

    def _of_order(self, order: Tensor) -> Tensor:
        variance = self.others[:1] if self.function is F.gaussian_nll_loss else ()  # an output, too
        others = tuple(v.index_select(0, order) for v in variance if isinstance(v, Tensor) and len(v) == len(order))
        return self.loss(
            self.outputs.index_select(self.batch_axis, order), (*others, *self.others[1:]) if others else None
        )


class LossCalls(LooseMode):
    """Records the calls of loss functions whose result has a gradient, and squared or absolute errors made by hand.

    Example:
        >>> net, x, y = torch.nn.Linear(2, 3), torch.randn(8, 2), torch.arange(8) % 3
        >>> with LossCalls() as calls:
        ...     loss = torch.nn.CrossEntropyLoss()(net(x), y)
        >>> [call.function.__name__ for call in calls.take()]
        ['cross_entropy']
    """

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self._calls: list[LossCall] = []
        self._differences: dict[int, tuple[Tensor, LossCall]] = {}  # by the id of the difference, which is kept

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.error is None and not torch.compiler.is_compiling():
            try:
                self._note(func, args, kwargs or {}, result)
            except Exception as error:  # a look must not end the step that is looked at
                self.error = error
        return result

    def _note(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        if func in DIFFERENCES and len(self._differences) < MOST_CALLS:
            self._note_difference(args, result)
        elif func in BY_HAND and self._differences:
            self._note_by_hand(BY_HAND[func], args)
        elif (func in PAIRED or func in UNPAIRED) and result.requires_grad and len(self._calls) < MOST_CALLS:
            call = LossCall.of(func, args, kwargs)
            if call is not None and call.outputs.requires_grad:
                self._calls.append(call)

    def _note_difference(self, args: Sequence[Any], result: Any) -> None:
        """Output minus target, or the other way around, may become a loss."""
        if len(args) == 2 and all(isinstance(arg, Tensor) and arg.ndim for arg in args):
            a, b = args
            if a.requires_grad != b.requires_grad and _are_alike(a, b):
                outputs, targets = (a, b) if a.requires_grad else (b, a)
                self._differences[id(result)] = result, LossCall(F.mse_loss, outputs, targets)

    def _note_by_hand(self, function: Callable[..., Tensor], args: Sequence[Any]) -> None:
        _, call = self._differences.get(id(args[0]), (None, None))
        if call is not None and (len(args) == 1 or args[1] is args[0] or _is_two(args[1])):
            self._calls.append(replace(call, function=function))

    def take(self) -> list[LossCall]:
        """Returns the calls since the last time.

        Raises:
            Exception: what went wrong while they were recorded.
        """
        if self.error is not None:
            raise self.error
        calls, self._calls, self._differences = self._calls, [], {}
        return calls


def _are_alike(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have one shape, or were meant to: ``(n, 1)`` and ``(n,)``."""
    return a.shape == b.shape or (len(a) == len(b) and a.numel() == b.numel() == len(a))


def _is_two(exponent: Any) -> bool:
    return isinstance(exponent, (int, float)) and exponent == 2


class Constant:
    """The best constant output for the targets of the batches seen.

    Example:
        >>> call = LossCall(F.mse_loss, torch.zeros(4, 1), torch.tensor([[1.0], [1.0], [3.0], [3.0]]))
        >>> Constant().loss(call).item()
        1.0
    """

    def __init__(self) -> None:
        self._sums: Tensor | None = None
        self._squares: Tensor | None = None
        self._count = 0

    def loss(self, call: LossCall) -> Tensor | None:
        """Adds the targets of a call, and returns the loss of the constant for them; None where it is not known."""
        targets = call.targets
        if targets is None or targets.requires_grad:
            return None
        if call.is_indexed:
            return call.loss(self._classes(call).expand_as(call.outputs))
        if call.function in INDEXED or call.function is F.kl_div:
            mean = self._mean(targets.detach()).clamp_min(1e-12).log()
            return call.loss(mean.expand_as(call.outputs))
        if call.outputs.shape != targets.shape:
            return None
        return self._elementwise(call, targets.detach())

    def _classes(self, call: LossCall) -> Tensor:
        """The logarithm of the frequency of each class, in the shape of one output."""
        assert call.targets is not None
        ignored = call.options.get("ignore_index", IGNORED_CLASS)
        labels = call.targets[call.targets != ignored].flatten()
        counts = torch.bincount(labels.clamp(0, call.classes - 1), minlength=call.classes).double()
        weight = call.options.get("weight")
        if weight is not None:
            counts = counts * weight
        self._sums = counts if self._sums is None or self._sums.shape != counts.shape else self._sums + counts
        share = self._sums / self._sums.sum().clamp_min(1e-12)
        smoothing = call.options.get("label_smoothing", 0.0)
        if smoothing:
            share = share * (1 - smoothing) + smoothing / call.classes
        logs = share.clamp_min(1e-12).log().to(call.outputs.dtype)
        result: Tensor = logs.reshape(-1, *[1] * (call.outputs.ndim - 2)) if call.outputs.ndim > 1 else logs
        return result

    def _mean(self, targets: Tensor) -> Tensor:
        """The mean of all targets so far, of each place in a target."""
        targets = targets.double()
        by_place = targets.ndim > 1 and targets[0].numel() <= MOST_COLUMNS
        values = targets if by_place else targets.reshape(-1)
        sums, squares = values.sum(0), values.square().sum(0)
        if self._sums is None or self._squares is None or self._sums.shape != sums.shape:
            self._sums, self._squares, self._count = sums, squares, len(values)
        else:
            self._sums, self._squares = self._sums + sums, self._squares + squares
            self._count += len(values)
        return self._sums / self._count

    def _elementwise(self, call: LossCall, targets: Tensor) -> Tensor | None:
        mean = self._mean(targets)
        function, like = call.function, call.outputs
        if function is F.l1_loss:
            mean = targets.double().median(0).values if targets.ndim > 1 else targets.double().median()
        elif function in BINARY:
            mean = mean.clamp(1e-6, 1 - 1e-6)
            weight = call.options.get("pos_weight")
            if function is F.binary_cross_entropy_with_logits:
                mean = mean.logit() if weight is None else mean.logit() + weight.double().log()
        elif function is F.poisson_nll_loss:
            mean = mean.clamp_min(1e-12).log() if call.options.get("log_input", True) else mean
        elif function is F.gaussian_nll_loss:
            assert self._squares is not None
            variance = (self._squares / self._count - mean.square()).clamp_min(1e-12)
            rest = (variance.to(like.dtype).expand_as(like).contiguous(), *call.others[1:])
            return call.loss(mean.to(like.dtype).expand_as(like), rest)
        elif function not in SYMMETRIC:
            return None
        return call.loss(mean.to(like.dtype).expand_as(like))


def compare(call: LossCall, constant: Constant, generator: torch.Generator) -> Tensor:
    """Compares the loss of a call with that of outputs that know less: shape ``(5,)``, float64.

    Returns:
        The mean loss as called; of the best constant output, or where that is not known, of exchanged outputs; with
        outputs exchanged between samples; the variance of that over several exchanges; and the unit in which the fall
        of the loss is expressed.
    """
    with torch.no_grad():
        alone = replace(call, outputs=call.outputs.detach())
        if alone.outputs.dtype in (torch.float16, torch.bfloat16):
            alone.outputs = alone.outputs.float()
        loss, losses = alone.exchanged(generator).split([1, EXCHANGES])
        exchanged = losses.mean()
        known = constant.loss(alone)
        base = exchanged if known is None else known
        unit = base.abs().clamp_min(1.0) if call.function in NEGATIVE else base.abs()
        return torch.stack([loss[0], base, exchanged, losses.std().square(), unit])


def varies(call: LossCall) -> Tensor:
    """Returns whether the targets of a batch differ from each other, so that there is something to learn; shape ``()``.

    Example:
        >>> varies(LossCall(F.mse_loss, torch.zeros(3), torch.ones(3))).item()
        False
    """
    if call.targets is None:
        return torch.ones((), dtype=torch.bool, device=call.outputs.device)
    return (call.targets != call.targets[:1]).any()
