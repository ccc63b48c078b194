"""What helps against what: runnable overrides, the smallest change first, combinations last.

A remedy is a function of what the net has: None where it would change nothing or theory says that it cannot help. To
add one, write it and name it in :data:`FOR`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

BOUNDED = ("sigmoid", "softplus")  # slopes of at most 1/4, or outputs of one sign: no initializer keeps the gradient
UNBOUNDED = ("exponential",)  # grows faster than any initializer can scale down
ADAPTIVE = ("adam", "adamw", "nadam")
NORMALISED = ("bn", "ln", "gn", "instance", "rms", "prenorm")


@dataclass(frozen=True)
class Net:
    """What a net has, as far as remedies depend on it: the chosen options and some of their numbers.

    Attributes:
        gain: ``init.gain``.
        scaling: ``data.scaling``; None: the data has none.
        usual_lr: a learning rate that a range test found; None: none was made.
        fixed: groups of the config that a network or LightningModule of one's own decides itself.
    """

    model: str = "plain"
    act: str = "relu"
    init: str = "auto"
    optimizer: str = "adam"
    clip: str = "none"
    lr: float = 1e-3
    gain: float = 1.0
    scaling: str | None = None
    usual_lr: float | None = None
    fixed: tuple[str, ...] = ()

    def decides(self, override: str) -> bool:
        """Whether an override is one of a fixed group."""
        return override.partition("=")[0].partition(".")[0] in self.fixed


@dataclass(frozen=True)
class Remedy:
    """A change of the config.

    Attributes:
        overrides: what to type.
        why: what it does against the sickness.
        source: who showed it.
    """

    overrides: tuple[str, ...]
    why: str
    source: str


Maker = Callable[[Net], Remedy | None]


def _auto(net: Net) -> tuple[str, ...]:
    """The initializer that suits the activation, without a gain of one's own."""
    return ("init=auto",) if net.gain == 1 else ("init=auto", "init.gain=1")


def _init(net: Net) -> Remedy | None:
    suits = net.init == "auto" and net.gain == 1
    if suits or net.act in (*BOUNDED, *UNBOUNDED):
        return None
    return Remedy(_auto(net), "weights of a scale that keeps the signal's size", "He et al. (2015)")


def _act(net: Net) -> Remedy | None:
    if net.act == "elu" and net.init == "auto" and net.gain == 1:
        return None
    words = "a slope near 1, and below 0 not nothing either"
    return Remedy(("act=elu", *_auto(net)), words, "Clevert, Unterthiner & Hochreiter (2016)")


def _batch_norm(net: Net) -> Remedy | None:
    if net.model in NORMALISED:
        return None
    return Remedy(("model=bn",), "each layer's input brought back to mean 0 and deviation 1", "Ioffe & Szegedy (2015)")


def _prenorm(net: Net) -> Remedy | None:
    if net.model == "prenorm":
        return None
    return Remedy(
        ("model=prenorm",), "a path around each layer that the gradient takes unchanged", "Xiong et al. (2020)"
    )


def _elu_prenorm(net: Net) -> Remedy | None:
    if net.model == "prenorm" and net.act == "elu":
        return None
    words = "a path around each layer, and slopes that do not die"
    return Remedy(("act=elu", *_auto(net), "model=prenorm"), words, "Xiong et al. (2020); Clevert et al. (2016)")


def _elu_batch_norm(net: Net) -> Remedy | None:
    words = "normalised inputs, and slopes that do not die"
    return Remedy(("act=elu", *_auto(net), "model=bn"), words, "Ioffe & Szegedy (2015); Clevert et al. (2016)")


def _clip(net: Net) -> Remedy | None:
    if net.clip != "none" or net.act in UNBOUNDED:
        return None
    return Remedy(
        ("clip=norm", "clip.val=1"), "no step larger than a gradient of norm 1 gives", "Pascanu et al. (2013)"
    )


def _no_clip(net: Net) -> Remedy | None:
    if net.clip == "none":
        return None
    return Remedy(("clip=none",), "the whole gradient", "Pascanu, Mikolov & Bengio (2013)")


def _range_test(net: Net) -> Remedy | None:
    if net.usual_lr is None:
        return None
    return Remedy(
        (f"optimizer.lr={net.usual_lr:.2g}",), "the rate at which the loss fell fastest in a range test", "Smith (2017)"
    )


def _lower_rate(net: Net) -> Remedy | None:
    return Remedy((f"optimizer.lr={net.lr / 10:.2g}",), "smaller steps", "Bengio (2012), section 3.1")


def _higher_rate(net: Net) -> Remedy | None:
    return Remedy((f"optimizer.lr={net.lr * 10:.2g}",), "larger steps", "Bengio (2012), section 3.1")


def _adam(net: Net) -> Remedy | None:
    if net.optimizer in ADAPTIVE and net.lr == 1e-3:
        return None
    return Remedy(
        ("optimizer=adam", "optimizer.lr=0.001"), "steps that do not shrink with the gradient", "Kingma & Ba (2015)"
    )


def _adam_elu_prenorm(net: Net) -> Remedy | None:
    overrides = ("act=elu", *_auto(net), "model=prenorm", "clip=none", "optimizer=adam", "optimizer.lr=0.003")
    return Remedy(overrides, "everything at once", "Xiong et al. (2020); Clevert et al. (2016); Kingma & Ba (2015)")


def _scaling(net: Net) -> Remedy | None:
    if net.scaling in (None, "standard"):
        return None
    return Remedy(("data.scaling=standard",), "inputs of mean 0 and deviation 1", "LeCun et al. (1998)")


def _input_norm(net: Net) -> Remedy | None:
    return Remedy(("model.input_norm=batch",), "inputs of mean 0 and deviation 1", "Ioffe & Szegedy (2015)")


# Verdict -> makers, in the order in which they are tried.
FOR: dict[str, Sequence[Maker]] = {
    "vanishing": (_init, _act, _adam, _batch_norm, _prenorm, _elu_prenorm, _elu_batch_norm, _adam_elu_prenorm),
    "exploding": (_clip, _init, _act, _lower_rate, _prenorm, _elu_prenorm, _adam_elu_prenorm),
    "dead_units": (_act, _lower_rate, _batch_norm, _prenorm, _elu_prenorm, _elu_batch_norm, _adam_elu_prenorm),
    "saturated": (_init, _act, _lower_rate, _batch_norm, _elu_prenorm, _elu_batch_norm, _adam_elu_prenorm),
    "non_finite": (_lower_rate, _clip, _init, _act, _prenorm, _elu_prenorm, _adam_elu_prenorm),
    "poor_init": (_init, _act, _batch_norm, _elu_prenorm, _adam_elu_prenorm),
    "stalled": (_range_test, _higher_rate, _no_clip, _adam, _elu_prenorm, _adam_elu_prenorm),
    "unstable": (_range_test, _lower_rate, _clip, _adam, _batch_norm, _elu_prenorm, _adam_elu_prenorm),
    "overclipped": (_no_clip, _adam, _adam_elu_prenorm),
    "bad_data": (_scaling, _input_norm),
}


def prescribe(verdict: str, net: Net) -> list[Remedy]:
    """The remedies for a verdict, the smallest change first; none for a healthy net.

    Example:
        >>> for remedy in prescribe("vanishing", Net(act="sigmoid", init="default"))[:3]:
        ...     print(*remedy.overrides)
        act=elu init=auto
        model=bn
        model=prenorm
    """
    made = (make(net) for make in FOR.get(verdict, ()))
    found = {remedy.overrides: remedy for remedy in made if remedy is not None}
    return [remedy for remedy in found.values() if not any(map(net.decides, remedy.overrides))]
