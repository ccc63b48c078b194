"""What the optimizers of a fit hold and change: facts of one measured step, without a judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class TrainingState:
    """The facts of a measured step. Lists of names are cut after the first hundred.

    Attributes:
        unheld: parameters that receive a gradient and that no optimizer holds, by dotted name.
        foreign: number of parameters that an optimizer holds, that are not the module's and receive no gradient.
        unregistered: kinds of the layers that ran in the forward pass and are no submodules of the module; those
            that an optimizer holds, that are frozen, or that ran without gradients do not count.
        without_gradient: layers that an optimizer holds, that ran in the forward pass, and of which no parameter has
            received a gradient since the start: it was None or exactly 0 at each measured step.
        frozen: layers that ran in the forward pass and whose parameters all have ``requires_grad=False``.
        trained_share: share of the module's parameters that an optimizer changes.
        rate: the largest learning rate of all parameter groups; None: there is none on the host.
        optimizer: the number of the optimizer that stepped.
        own_rate: its largest learning rate.
        held_twice: whether two optimizers hold the same parameter.
        decay: the largest product of learning rate and weight decay of a group, by which a step shrinks weights under
            SGD or decoupled decay; None: unknown.
        pull: norm of the decay's part of the gradient over that of the loss's part, where an adaptive optimizer adds
            both up, as Adam does; None: no such optimizer.
        weight: norm of the weights of all layers; None: not measured.
        not_zeroed: whether the gradients of the step before were still there when the backward pass began.
        replicas_differ: the largest relative difference between the weights of two processes; None: there is only one
            process, or weights are sharded.
    """

    unheld: tuple[str, ...] = ()
    foreign: int = 0
    unregistered: tuple[str, ...] = ()
    without_gradient: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    trained_share: float = 1.0
    rate: float | None = None
    decay: float | None = None
    not_zeroed: bool = False
    replicas_differ: float | None = None
    pull: float | None = None
    weight: float | None = None
    optimizer: int = 0
    own_rate: float | None = None
    held_twice: bool = False


def loaded(observation: Mapping[str, Any]) -> TrainingState | None:
    """Returns the state of an observation that ``asdict`` made plain; None where it has none.

    Example:
        >>> state = loaded({"step": 3, "state": {"unheld": ["net.0.weight"], "rate": 0.1}})
        >>> state.unheld, state.rate, state.decay
        (('net.0.weight',), 0.1, None)
    """
    state = observation.get("state")
    if state is None:
        return None
    known = {field.name for field in fields(TrainingState)}
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in state.items()}
    return TrainingState(**{name: plain[name] for name in plain.keys() & known})
