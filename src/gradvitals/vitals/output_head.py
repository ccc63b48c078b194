"""Whether output, loss and target of a network fit together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import Node

from gradvitals.vitals.autograd_graph import VIEWS
from gradvitals.vitals.loss_calls import BINARY, INDEXED, SYMMETRIC, LossCall

ACTIVATIONS = ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "Relu", "Tanh", "Softplus")
PASSED = (
    "Log",
    "Div",
    "Clamp",
    "ClampMin",
    "ClampMax",
    "Add",
    "Sub",
    "ToCopy",
    "Select",
    "Slice",
    "Permute",
    "T",
    "Transpose",
)
RANGES = {"Sigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0), "Tanh": (-1.0, 1.0), "Relu": (0.0, float("inf"))}
FOR_LOGITS = {F.cross_entropy, F.binary_cross_entropy_with_logits}
KINDS = (
    *("one_unit", "over_batch", "activation", "out_of_reach", "not_probabilities", "broadcast", "not_exclusive"),
    *("not_log", "exclusive", "cut_off"),
)
MARGIN = 0.01  # by which a target may be outside a range


@dataclass(frozen=True)
class HeadFault:
    """A fault of output, loss and target.

    Attributes:
        kind: one of :data:`KINDS`.
        loss: the name of the loss function.
        activation: the last one before the loss; empty: none.
        share: of the targets or outputs that are at fault, shape ``()``.
    """

    kind: str
    loss: str
    activation: str
    share: Tensor


def head_faults(call: LossCall) -> list[HeadFault]:
    """Returns the faults that a call may have, each with its share, where the graph of its outputs is still there.

    Example:
        >>> logits = torch.zeros(8, 1, requires_grad=True)
        >>> call = LossCall(F.mse_loss, logits.softmax(1), torch.ones(8, 1))
        >>> [fault.kind for fault in head_faults(call) if fault.share > 0]
        ['one_unit']
    """
    node, is_log = _last_activation(call.outputs.grad_fn)
    activation = node.name().removesuffix("Backward0") if node is not None else ""
    found: dict[str, Tensor | bool] = {}
    if node is not None and activation in ("Softmax", "LogSoftmax"):
        shape = node._saved_result.shape  # type: ignore[attr-defined]
        axis = node._saved_dim % 2**64  # type: ignore[attr-defined]
        axis = axis - 2**64 + len(shape) if axis >= 2**63 else axis
        found["one_unit"] = shape[axis] == 1
        found["over_batch"] = axis == 0 and len(shape) > 1 and shape[0] == call.samples > 1
    found["activation"] = _spoils(call, activation, is_log)
    if call.is_indexed:
        found["cut_off"] = _cut_off(call, node)
    found |= _of_targets(call, activation)
    return [_fault(call, kind, activation, share) for kind, share in found.items() if share is not False]


def _fault(call: LossCall, kind: str, activation: str, share: Tensor | bool) -> HeadFault:
    value = share.double() if isinstance(share, Tensor) else torch.ones((), device=call.outputs.device).double()
    return HeadFault(kind, call.function.__name__, activation, value)


def _spoils(call: LossCall, activation: str, is_log: bool) -> bool:
    """Whether the loss expects the outputs without this activation, or with another one."""
    if call.function in FOR_LOGITS:
        return activation in ("Softmax", "Sigmoid", "Relu") and not is_log
    if call.function is F.nll_loss:
        return activation in ("Sigmoid", "Relu")
    return call.function is F.binary_cross_entropy and activation == "Relu"


def _cut_off(call: LossCall, node: Node | None) -> Tensor | bool:
    """The share of samples whose own class a ReLU, perhaps in front of a softmax, has set to 0, without a gradient."""
    if node is not None and "Softmax" in node.name():
        node, _ = _last_activation(node.next_functions[0][0])
    if node is None or not node.name().startswith("Relu") or call.targets is None:
        return False
    logits = node._saved_result  # type: ignore[attr-defined]
    if logits.ndim != 2 or logits.shape[1] < 2 or call.targets.shape != logits.shape[:1]:
        return False
    labels = call.targets.clamp(0, logits.shape[1] - 1)
    result: Tensor = (logits.detach().gather(1, labels[:, None]) == 0).double().mean()
    return result


def _of_targets(call: LossCall, activation: str) -> dict[str, Tensor | bool]:
    targets, found = call.targets, dict[str, Tensor | bool]()
    if targets is None or not targets.numel():
        return found
    if call.function is F.nll_loss:
        sums = call.outputs.detach().double().exp().sum(1 if call.outputs.ndim > 1 else 0)
        found["not_log"] = ((sums - 1).abs() > 5 * MARGIN).double().mean()
    if call.function in INDEXED or not (call.function in SYMMETRIC or call.function in BINARY):
        return found
    outputs = call.outputs
    same_number = outputs.numel() == targets.numel() == call.samples > 1
    found["broadcast"] = same_number and outputs.ndim != targets.ndim  # (n, 1) and (n,) become (n, n)
    values = targets.detach().double()
    if call.function in BINARY:
        found["not_probabilities"] = ((values < -MARGIN) | (values > 1 + MARGIN)).double().mean()
        if values.ndim > 1 and values.shape[-1] > 2:
            found["exclusive"] = ((values.sum(-1) == 1) & (values.max(-1).values == 1)).all()
    elif activation in RANGES:
        low, high = RANGES[activation]
        found["out_of_reach"] = ((values < low - MARGIN) | (values > high + MARGIN)).double().mean()
    if activation == "Softmax" and outputs.shape == targets.shape and outputs.ndim > 1 and outputs.shape[-1] > 1:
        found["not_exclusive"] = ((values.sum(-1) - 1).abs() > MARGIN).double().mean()
    return found


def _last_activation(node: Node | None) -> tuple[Node | None, bool]:
    """The last activation before the loss, and whether its logarithm was taken."""
    is_log = False
    for _ in range(12):
        if node is None:
            break
        name = node.name()
        kind = name.rstrip("0123456789").removesuffix("Backward")
        if kind in ACTIVATIONS:
            return node, is_log
        if name not in VIEWS and kind not in PASSED:
            break
        users = [child for child, _ in node.next_functions if child is not None]
        if len(users) != 1 and kind != "Div":  # of a quotient, such as that by a sum, the numerator counts
            break
        is_log, node = is_log or kind == "Log", users[0] if users else None
    return None, is_log
