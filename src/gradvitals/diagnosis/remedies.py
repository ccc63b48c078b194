"""Remedies by verdict: overrides that can be typed, the smallest change first, combinations last.

To add a remedy, define a :class:`_Candidate`, with the families of nets that it is for, and list it in :data:`FOR`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

BOUNDED = ("sigmoid", "softplus")  # slopes of at most 1/4, or outputs of one sign: no initializer keeps the gradient
UNBOUNDED = ("exponential",)  # grows faster than any initializer can scale down
ADAPTIVE = ("adam", "adamw", "nadam")
MLP, RECURRENT, CNN = "mlp", "recurrent", "cnn"  # families of nets
NORMALIZED = ("bn", "ln", "gn", "instance", "rms", "prenorm")


@dataclass(frozen=True)
class Net:
    """The options and numbers of a config on which remedies depend.

    Attributes:
        scaling: ``data.scaling``; None: the data module has no such option.
        usual_lr: the learning rate from a range test; None: there was none.
        decay: ``optimizer.weight_decay``.
        fixed: groups of the config that the user's own network or LightningModule decides itself.
        family: ``mlp``, ``recurrent`` or ``cnn``.
        cell: ``model.cell`` of a recurrent net.
        recurrent_init: ``model.recurrent_init``.
        forget_bias: ``model.forget_bias``; None: torch's.
        norm: ``model.norm`` of a convolutional net.
        residual: ``model.residual``, likewise.
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
    fixed: tuple[str, ...] = ()
    family: str = MLP
    cell: str = "rnn"
    recurrent_init: str = "default"
    forget_bias: float | None = None
    norm: str | None = None
    residual: bool = False

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
    """A remedy for nets of some families.

    ``overrides`` returns none if they would change nothing or theory says they cannot help.
    """

    why: str
    source: str
    overrides: Callable[[Net], tuple[str, ...]]
    families: tuple[str, ...] = (MLP, RECURRENT, CNN)


_IRNN = ("model.recurrent_init=identity", "act=relu")
_CLIPPED = ("clip=norm", "clip.val=1")


def _auto(net: Net) -> tuple[str, ...]:
    return ("init=auto",) if net.gain == 1 else ("init=auto", "init.gain=1")


def _gates(net: Net) -> tuple[str, ...]:
    return GRU.overrides(net) or (*FORGET_BIAS.overrides(net), *ORTHOGONAL.overrides(net))


def _elu_prenorm(net: Net) -> tuple[str, ...]:
    return ("act=elu", *_auto(net), "model=prenorm")


INIT = _Candidate(
    "initial weights that keep the size of the signal",
    "He et al. (2015)",
    lambda net: () if net.is_initialized or net.act in (*BOUNDED, *UNBOUNDED) else _auto(net),
    (MLP, CNN),
)
ACT = _Candidate(
    "an activation with a slope near 1, and not 0 for negative inputs",
    "Clevert, Unterthiner & Hochreiter (2016)",
    lambda net: () if net.act == "elu" and net.is_initialized else ("act=elu", *_auto(net)),
    (MLP, CNN),
)
BATCH_NORM = _Candidate(
    "each layer's pre-activations normalized to mean 0 and standard deviation 1",
    "Ioffe & Szegedy (2015)",
    lambda net: () if net.model in NORMALIZED else ("model=bn",),
    (MLP,),
)
PRENORM = _Candidate(
    "a shortcut around each layer, through which the gradient passes unchanged",
    "Xiong et al. (2020)",
    lambda net: () if net.model == "prenorm" else ("model=prenorm",),
    (MLP,),
)
ELU_PRENORM = _Candidate(
    "a shortcut around each layer, and an activation whose units do not die",
    "Xiong et al. (2020); Clevert et al. (2016)",
    lambda net: () if net.model == "prenorm" and net.act == "elu" else _elu_prenorm(net),
    (MLP,),
)
ELU_BATCH_NORM = _Candidate(
    "normalized pre-activations, and an activation whose units do not die",
    "Ioffe & Szegedy (2015); Clevert et al. (2016)",
    lambda net: ("act=elu", *_auto(net), "model=bn"),
    (MLP,),
)
CLIP = _Candidate(
    "no step is larger than that of a gradient of norm 1",
    "Pascanu et al. (2013)",
    lambda net: () if net.clip != "none" or net.act in UNBOUNDED else _CLIPPED,
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
    (MLP,),
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
INPUT_NORM = _Candidate(SCALING.why, "Ioffe & Szegedy (2015)", lambda net: ("model.input_norm=batch",), (MLP,))
ORTHOGONAL = _Candidate(
    "recurrent weights that keep the size of the state from time step to time step",
    "Saxe, McClelland & Ganguli (2014)",
    lambda net: () if net.recurrent_init == "orthogonal" else ("model.recurrent_init=orthogonal",),
    (RECURRENT,),
)
IDENTITY = _Candidate(
    "a state that is passed on unchanged at first, and an activation of slope 1",
    "Le, Jaitly & Hinton (2015)",
    lambda net: () if net.cell != "rnn" or net.recurrent_init == "identity" else _IRNN,
    (RECURRENT,),
)
FORGET_BIAS = _Candidate(
    "forget gates that are open at first",
    "Jozefowicz, Zaremba & Sutskever (2015)",
    lambda net: ("model.forget_bias=1",) if net.cell == "lstm" and net.forget_bias is None else (),
    (RECURRENT,),
)
GRU = _Candidate(
    "gates, through which the state passes unchanged",
    "Cho et al. (2014)",
    lambda net: ("model=gru", *ORTHOGONAL.overrides(net)) if net.cell == "rnn" else (),
    (RECURRENT,),
)
LSTM = _Candidate(
    "a state that gates protect, and that is kept at first",
    "Hochreiter & Schmidhuber (1997); Gers, Schmidhuber & Cummins (2000)",
    lambda net: ("model=lstm", "model.forget_bias=1") if net.cell == "rnn" else (),
    (RECURRENT,),
)
CLIPPED_ORTHOGONAL = _Candidate(
    "recurrent weights that keep the size of the state, and no step larger than that of a gradient of norm 1",
    "Pascanu et al. (2013); Saxe et al. (2014)",
    lambda net: (*ORTHOGONAL.overrides(net), *_CLIPPED),
    (RECURRENT,),
)
ADAM_GATES = _Candidate(
    "all of these changes together",
    "Cho et al. (2014); Saxe et al. (2014); Pascanu et al. (2013); Kingma & Ba (2015)",
    lambda net: (*_gates(net), *_CLIPPED, "optimizer=adam", "optimizer.lr=0.01"),
    (RECURRENT,),
)
DELTA_ORTHOGONAL = _Candidate(
    "kernels that are orthogonal at their center and 0 around it, which keep the size of the signal",
    "Xiao et al. (2018)",
    lambda net: () if net.init == "delta_orthogonal" else ("act=tanh", "init=delta_orthogonal"),
    (CNN,),
)
CNN_NORM = _Candidate(BATCH_NORM.why, BATCH_NORM.source, lambda net: () if net.norm else ("model.norm=batch",), (CNN,))
CNN_RESIDUAL = _Candidate(
    "a shortcut around each block, through which the gradient passes unchanged",
    "He, Zhang, Ren & Sun (2016)",
    lambda net: () if net.residual else ("model.residual=true",),
    (CNN,),
)
ADAM_RESIDUAL_NORM = _Candidate(
    "all of these changes together",
    "He et al. (2016); Ioffe & Szegedy (2015); Kingma & Ba (2015)",
    lambda net: (*CNN_NORM.overrides(net), *CNN_RESIDUAL.overrides(net), "optimizer=adam", "optimizer.lr=0.001"),
    (CNN,),
)

_NORM_OR_SHORTCUT = (BATCH_NORM, CNN_NORM, PRENORM, CNN_RESIDUAL, ELU_PRENORM, ELU_BATCH_NORM)
_TOGETHER = (ADAM_ELU_PRENORM, ADAM_RESIDUAL_NORM, ADAM_GATES)

# The candidates of each verdict, in the order in which they are tried.
FOR: dict[str, Sequence[_Candidate]] = {
    "vanishing": (
        *(ORTHOGONAL, IDENTITY, FORGET_BIAS, GRU, LSTM, INIT, DELTA_ORTHOGONAL, ACT, ADAM),
        *(*_NORM_OR_SHORTCUT, *_TOGETHER),
    ),
    "exploding": (
        *(INIT, DELTA_ORTHOGONAL, ORTHOGONAL, ACT, LOWER_RATE, CLIP, CLIPPED_ORTHOGONAL),
        *(PRENORM, CNN_NORM, ELU_PRENORM, *_TOGETHER),
    ),
    "dead_units": (ACT, LOWER_RATE, *_NORM_OR_SHORTCUT, *_TOGETHER),
    "saturated": (INIT, ORTHOGONAL, ACT, LOWER_RATE, BATCH_NORM, CNN_NORM, ELU_PRENORM, ELU_BATCH_NORM, *_TOGETHER),
    "non_finite": (LOWER_RATE, CLIP, INIT, ORTHOGONAL, ACT, PRENORM, CNN_NORM, ELU_PRENORM, *_TOGETHER),
    "poor_init": (INIT, ORTHOGONAL, ACT, BATCH_NORM, ELU_PRENORM, *_TOGETHER),
    "stalled": (RANGE_TEST, HIGHER_RATE, NO_CLIP, ADAM, ELU_PRENORM, *_TOGETHER),
    "unstable": (RANGE_TEST, LOWER_RATE, CLIP, ADAM, BATCH_NORM, CNN_NORM, ELU_PRENORM, *_TOGETHER),
    "overclipped": (NO_CLIP, ADAM, *_TOGETHER),
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
    made = ((each.overrides(net), each) for each in FOR.get(verdict, ()) if net.family in each.families)
    remedies = [Remedy(overrides, candidate.why, candidate.source) for overrides, candidate in made if overrides]
    different = {remedy.overrides: remedy for remedy in remedies}.values()
    return [remedy for remedy in different if not any(map(net.decides, remedy.overrides))]
