"""Remedies by verdict: overrides that can be typed, the smallest change first, combinations last.

To add a remedy, define a :class:`_Candidate` and list it in :data:`FOR`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

BOUNDED = ("sigmoid", "softplus")  # slopes of at most 1/4, or outputs of one sign: no initializer keeps the gradient
UNBOUNDED = ("exponential",)  # grows faster than any initializer can scale down
ADAPTIVE = ("adam", "adamw", "nadam")
NORMALIZED = ("bn", "ln", "gn", "instance", "rms", "prenorm")
PLAIN, RECURRENT, CONVOLUTION = "plain", "recurrent", "convolution"  # families of our networks
FAMILIES = {"rnn": RECURRENT, "lstm": RECURRENT, "gru": RECURRENT, "cnn": CONVOLUTION}  # of model=NAME; else plain


@dataclass(frozen=True)
class Net:
    """The options and numbers of a config on which remedies depend.

    Attributes:
        scaling: ``data.scaling``; None: the data module has no such option.
        usual_lr: the learning rate from a range test; None: there was none.
        decay: ``optimizer.weight_decay``.
        recurrent_init, forget_bias: of a recurrent network.
        fixed: groups of the config that the user's own network or LightningModule decides itself.
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
    decay: float = 0.0
    scheduler: str = "none"
    recurrent_init: str = "default"
    forget_bias: float | None = None
    fixed: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        return FAMILIES.get(self.model, PLAIN)

    def decides(self, override: str) -> bool:
        return override.partition("=")[0].partition(".")[0] in self.fixed

    @property
    def is_initialized(self) -> bool:
        return self.init == "auto" and self.gain == 1


@dataclass(frozen=True)
class Remedy:
    """A change of the config: the overrides of the command, their effect, and the publication."""

    overrides: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True)
class _Candidate:
    """A remedy for the nets of some families.

    ``overrides`` returns none if they would change nothing or theory says they cannot help.
    """

    why: str
    source: str
    overrides: Callable[[Net], tuple[str, ...]]
    families: tuple[str, ...] = (PLAIN, RECURRENT, CONVOLUTION)


def _auto(net: Net) -> tuple[str, ...]:
    return ("init=auto",) if net.gain == 1 else ("init=auto", "init.gain=1")


def _elu_prenorm(net: Net) -> tuple[str, ...]:
    return ("act=elu", *_auto(net), "model=prenorm")


INIT = _Candidate(
    "initial weights that keep the size of the signal",
    "He et al. (2015)",
    lambda net: () if net.is_initialized or net.act in (*BOUNDED, *UNBOUNDED) else _auto(net),
    families=(PLAIN, CONVOLUTION),
)
ACT = _Candidate(
    "an activation with a slope near 1, and not 0 for negative inputs",
    "Clevert, Unterthiner & Hochreiter (2016)",
    lambda net: () if net.act == "elu" and net.is_initialized else ("act=elu", *_auto(net)),
    families=(PLAIN,),
)
BATCH_NORM = _Candidate(
    "each layer's pre-activations normalized to mean 0 and standard deviation 1",
    "Ioffe & Szegedy (2015)",
    lambda net: () if net.model in NORMALIZED else ("model=bn",),
    families=(PLAIN,),
)
PRENORM = _Candidate(
    "a shortcut around each layer, through which the gradient passes unchanged",
    "Xiong et al. (2020)",
    lambda net: () if net.model == "prenorm" else ("model=prenorm",),
    families=(PLAIN,),
)
ELU_PRENORM = _Candidate(
    "a shortcut around each layer, and an activation whose units do not die",
    "Xiong et al. (2020); Clevert et al. (2016)",
    lambda net: () if net.model == "prenorm" and net.act == "elu" else _elu_prenorm(net),
    families=(PLAIN,),
)
ELU_BATCH_NORM = _Candidate(
    "normalized pre-activations, and an activation whose units do not die",
    "Ioffe & Szegedy (2015); Clevert et al. (2016)",
    lambda net: ("act=elu", *_auto(net), "model=bn"),
    families=(PLAIN,),
)
CLIP = _Candidate(
    "no step is larger than that of a gradient of norm 1",
    "Pascanu et al. (2013)",
    lambda net: () if net.clip != "none" or net.act in UNBOUNDED else ("clip=norm", "clip.val=1"),
)
NO_CLIP = _Candidate(
    "the optimizer receives the whole gradient",
    "Pascanu, Mikolov & Bengio (2013)",
    lambda net: () if net.clip == "none" else ("clip=none",),
)
RANGE_TEST = _Candidate(
    "the learning rate at which the loss fell fastest in a range test",
    "Smith (2017)",
    lambda net: () if net.usual_lr is None else (f"optimizer.lr={net.usual_lr:.2g}",),
)
LOWER_RATE = _Candidate("smaller steps", "Bengio (2012), section 3.1", lambda net: (f"optimizer.lr={net.lr / 10:.2g}",))
HIGHER_RATE = _Candidate("larger steps", "Bengio (2012), section 3.1", lambda net: (f"optimizer.lr={net.lr * 10:.2g}",))
ADAM = _Candidate(
    "steps that do not shrink with the gradient",
    "Kingma & Ba (2015)",
    lambda net: () if net.optimizer in ADAPTIVE and net.lr == 1e-3 else ("optimizer=adam", "optimizer.lr=0.001"),
)
ADAM_ELU_PRENORM = _Candidate(
    "all of these changes together",
    "Xiong et al. (2020); Clevert et al. (2016); Kingma & Ba (2015)",
    lambda net: (*_elu_prenorm(net), "clip=none", "optimizer=adam", "optimizer.lr=0.003"),
    families=(PLAIN,),
)
NOT_ZERO_RATE = _Candidate(
    "a learning rate above 0", "Kingma & Ba (2015)", lambda net: ("optimizer.lr=0.001",) if net.lr == 0 else ()
)
NO_DECAY = _Candidate(
    "weights that nothing pulls towards 0",
    "Loshchilov & Hutter (2019)",
    lambda net: ("optimizer.weight_decay=0",) if net.decay else (),
)
CONSTANT_RATE = _Candidate(
    "the same learning rate to the end",
    "Bengio (2012), section 3.1",
    lambda net: () if net.scheduler == "none" else ("scheduler=none",),
)
ONE_CYCLE = _Candidate(
    "a learning rate that falls to nothing at the end only",
    "Smith & Topin (2018)",
    lambda net: () if net.scheduler in ("none", "onecycle") else ("scheduler=onecycle",),
)
SCALING = _Candidate(
    "inputs of mean 0 and standard deviation 1",
    "LeCun et al. (1998)",
    lambda net: () if net.scaling in (None, "standard") else ("data.scaling=standard",),
)
INPUT_NORM = _Candidate(
    SCALING.why, "Ioffe & Szegedy (2015)", lambda net: ("model.input_norm=batch",), families=(PLAIN,)
)

ORTHOGONAL = _Candidate(
    "recurrent weights that keep the size of what passes from step to step",
    "Saxe, McClelland & Ganguli (2014)",
    lambda net: () if net.recurrent_init == "orthogonal" else ("model.recurrent_init=orthogonal",),
    families=(RECURRENT,),
)
IDENTITY = _Candidate(
    "a state that passes from step to step unchanged",
    "Le, Jaitly & Hinton (2015)",
    lambda net: ("act=relu", "model.recurrent_init=identity") if net.model == "rnn" else (),
    families=(RECURRENT,),
)
FORGET_BIAS = _Candidate(
    "a forget gate that is open at first",
    "Jozefowicz, Zaremba & Sutskever (2015)",
    lambda net: ("model.forget_bias=1",) if net.model == "lstm" and net.forget_bias is None else (),
    families=(RECURRENT,),
)
GATE = _Candidate(
    "a gate that decides at each step what is kept",
    "Cho et al. (2014)",
    lambda net: ("model=gru", "model.recurrent_init=orthogonal") if net.model == "rnn" else (),
    families=(RECURRENT,),
)
ADAM_GATE = _Candidate(
    "all of these changes together",
    "Cho et al. (2014); Pascanu et al. (2013); Kingma & Ba (2015)",
    lambda net: (
        *("model=gru", "model.recurrent_init=orthogonal"),
        *(() if net.forget_bias is None else ("model.forget_bias=null",)),
        *("clip=norm", "clip.val=1", "optimizer=adam", "optimizer.lr=0.01"),
    ),
    families=(RECURRENT,),
)
ISOMETRY = _Candidate(
    "convolutions that keep the size of the signal and of the gradient",
    "Xiao et al. (2018)",
    lambda net: () if net.init == "delta_orthogonal" else ("act=tanh", "init=delta_orthogonal"),
    families=(CONVOLUTION,),
)
CNN_NORM = _Candidate(
    "each layer's pre-activations normalized to mean 0 and standard deviation 1",
    "Ioffe & Szegedy (2015)",
    lambda net: ("model.norm=batch",),
    families=(CONVOLUTION,),
)
CNN_RESIDUAL = _Candidate(
    "a shortcut around each block, and normalized pre-activations",
    "He et al. (2016)",
    lambda net: ("model.norm=batch", "model.residual=true"),
    families=(CONVOLUTION,),
)
OF_TIME = (ORTHOGONAL, IDENTITY, FORGET_BIAS, GATE)
OF_IMAGES = (ISOMETRY, CNN_NORM, CNN_RESIDUAL)

# The candidates of each verdict, in the order in which they are tried.
FOR: dict[str, Sequence[_Candidate]] = {
    "vanishing": (
        *(*OF_TIME, *OF_IMAGES, INIT, ACT, ADAM, BATCH_NORM, PRENORM, ELU_PRENORM, ELU_BATCH_NORM),
        *(ADAM_ELU_PRENORM, ADAM_GATE),
    ),
    "exploding": (
        *(INIT, ACT, LOWER_RATE, CLIP, ORTHOGONAL, *OF_IMAGES, PRENORM, ELU_PRENORM),
        *(ADAM_ELU_PRENORM, ADAM_GATE),
    ),
    "dead_units": (
        *(ACT, LOWER_RATE, BATCH_NORM, CNN_NORM, PRENORM, CNN_RESIDUAL, ELU_PRENORM, ELU_BATCH_NORM),
        ADAM_ELU_PRENORM,
    ),
    "saturated": (INIT, ACT, LOWER_RATE, BATCH_NORM, CNN_NORM, ELU_PRENORM, ELU_BATCH_NORM, ADAM_ELU_PRENORM),
    "non_finite": (LOWER_RATE, CLIP, INIT, ACT, CNN_NORM, PRENORM, ELU_PRENORM, ADAM_ELU_PRENORM, ADAM_GATE),
    "poor_init": (INIT, ACT, BATCH_NORM, CNN_NORM, ELU_PRENORM, ADAM_ELU_PRENORM),
    "stalled": (RANGE_TEST, HIGHER_RATE, NO_CLIP, ADAM, ELU_PRENORM, ADAM_ELU_PRENORM, ADAM_GATE),
    "unstable": (RANGE_TEST, LOWER_RATE, CLIP, ADAM, BATCH_NORM, CNN_NORM, ELU_PRENORM, ADAM_ELU_PRENORM, ADAM_GATE),
    "overclipped": (NO_CLIP, ADAM, ADAM_ELU_PRENORM),
    "bad_data": (SCALING, INPUT_NORM),
    "slow": (RANGE_TEST, HIGHER_RATE, ADAM),
    "head": (),  # of the code
    "target_scale": (),
    "no_update": (NOT_ZERO_RATE,),
    "replicas": (),
    "weight_decay": (NO_DECAY,),
    "rate_decays": (CONSTANT_RATE, ONE_CYCLE),
}


def prescribe(verdict: str, net: Net) -> list[Remedy]:
    """Returns the remedies for a verdict, the smallest change first; none for a healthy net.

    Example:
        >>> for remedy in prescribe("vanishing", Net(act="sigmoid", init="default"))[:3]:
        ...     print(*remedy.overrides)
        act=elu init=auto
        model=bn
        model=prenorm
    """
    suitable = (candidate for candidate in FOR.get(verdict, ()) if net.family in candidate.families)
    made = ((candidate.overrides(net), candidate) for candidate in suitable)
    remedies = [Remedy(overrides, candidate.why, candidate.source) for overrides, candidate in made if overrides]
    different = {remedy.overrides: remedy for remedy in remedies}.values()
    return [remedy for remedy in different if not any(map(net.decides, remedy.overrides))]
