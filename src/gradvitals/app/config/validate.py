"""What a config may hold, told before anything heavy is imported and before a run directory is made.

What one key may hold stands in :mod:`gradvitals.app.config.schema`; here, what goes together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from gradvitals.app.config.schema import ALIASES, RULES
from gradvitals.errors import ConfigError, shown

GROUPS = ("model", "act", "init", "clip", "optimizer", "scheduler", "data", "monitor", "trainer")
SEVERAL = ("callbacks", "logger")  # groups of several specs, each by a name of its own
# What every run asks for; ~KEY would take it away.
NEEDED = [key for key in RULES if "." not in key]
NEEDED += ["paths.logs", "act.name", "init.name", "init.gain", "init.output", "clip.name", "optimizer.lr"]
NEEDED += ["trainer.deterministic", "trainer.precision"]
# One of them tells other machines' processes where the first one is.
RENDEZVOUS = ("MASTER_ADDR", "SLURM_JOB_ID", "LSB_JOBID", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "KUBERNETES_SERVICE_HOST")
SHARDED_PRECISIONS = ("32-true", "bf16-mixed", "bf16-true", "16-true")
FUSED_IN_PARTS = ("torch.optim.Adam", "torch.optim.AdamW")  # whose kernels take parts of weights
SMALLEST_HALF = 6.1e-5  # float16 loses the digits of smaller numbers, and 1e-8 is 0 to it

FLOAT = 4  # bytes
MLP, NOISE = "gradvitals.nets.mlp.MLP", "gradvitals.data.noise.Noise"


def check(config: Mapping[str, Any], typed: Iterable[str] = ()) -> None:
    """Refuse a config that cannot be meant.

    Args:
        config: plain values, resolved.
        typed: the keys that the user typed, which may not contradict each other.

    Raises:
        Refused: with the key, what was expected and what came.
    """
    _check_sections(config)
    check_values(config)
    _check_model(config, set(typed))
    _check_clipping(config, set(typed))
    _check_precision(config["trainer"], config["optimizer"])
    _check_sharding(config["trainer"], config["optimizer"])
    _check_nodes(config["trainer"].get("num_nodes"))
    check_memory(config)


def _check_sections(config: Mapping[str, Any]) -> None:
    for group in GROUPS:
        if not isinstance(config.get(group), Mapping):
            raise ConfigError(f"{group}: expected an option of the group; got none. Set it by {group}=OPTION")
    for group in SEVERAL:
        for name, spec in (config.get(group) or {}).items():
            if spec is not None and not isinstance(spec, Mapping):
                raise ConfigError(f"{group}.{name}: expected a class and its arguments, or null; got {shown(spec)}")
    for key in NEEDED:
        if not _find(config, key)[1] and _is_ours(config, key):
            raise ConfigError(f"{key}: expected {RULES[key].expected}; got none. Every run needs it: leave ~{key} out")


def check_values(config: Mapping[str, Any]) -> None:
    """Refuse values of a wrong type or out of range, each on its own; keys that are not there are passed over."""
    for key, rule in RULES.items():
        value, present = _find(config, key)
        waits = isinstance(value, str) and "${" in value  # known only inside the job
        if present and not waits and _is_ours(config, key) and not rule.accepts(value):
            raise ConfigError(f"{key}: expected {rule.expected}; got {shown(value)}")


def _is_ours(config: Mapping[str, Any], key: str) -> bool:
    """Whether the rule's section is built from a class that we know; one's own may mean other things by its keys."""
    section, _ = _find(config, key.rpartition(".")[0])
    target = section.get("_target_") if isinstance(section, Mapping) else None
    return target is None or str(target).startswith(("gradvitals.", "torch.", "lightning."))


def _find(config: Mapping[str, Any], key: str) -> tuple[Any, bool]:
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None, False
        value = value[part]
    return value, True


def _check_model(config: Mapping[str, Any], typed: set[str]) -> None:
    model = config["model"]
    for key in ("depth", "width"):
        if f"model.{key}" in typed and model.get("hidden") is not None:
            raise ConfigError(
                f"model.{key}: model.hidden={model['hidden']} says the widths already. "
                f"Set model.hidden=null to use depth and width, or leave model.{key} out"
            )
    batch_norm = "batch" in (model.get("norm"), model.get("input_norm")) or model.get("input_norm") is True
    if batch_norm and config["data"].get("batch_size") == 1:
        raise ConfigError("data.batch_size: BatchNorm needs at least 2 samples in a batch; got 1. Or use model=ln")


def _check_clipping(config: Mapping[str, Any], typed: set[str]) -> None:
    name, val, trainer = config["clip"].get("name"), config["clip"].get("val"), config["trainer"]
    by_trainer = trainer.get("gradient_clip_val")
    if by_trainer is not None and name != "none":
        raise ConfigError(
            f"trainer.gradient_clip_val={by_trainer} and clip={name} both clip. Keep one: clip=none, or leave "
            "trainer.gradient_clip_val out"
        )
    if "trainer.gradient_clip_algorithm" in typed and by_trainer is None:
        raise ConfigError(
            "trainer.gradient_clip_algorithm: expected trainer.gradient_clip_val beside it; or type clip=value"
        )
    if name == "none" and val is not None:
        raise ConfigError(f"clip.val={val}: clip=none clips nothing. Set clip=norm, or another of that group")
    if name != "none" and val is None:
        raise ConfigError(f"clip.val: clip={name} needs a threshold; got null")
    if name == "percentile" and val > 100:
        raise ConfigError(f"clip.val: expected a percentile, above 0 and at most 100; got {val}")
    clips = by_trainer is not None or name != "none"
    if clips and config["optimizer"].get("fused") is True and _precision(trainer).endswith("mixed"):
        raise ConfigError(
            "optimizer.fused=true: Lightning cannot clip under mixed precision then. Set optimizer.fused=false"
        )


def _precision(trainer: Mapping[str, Any]) -> str:
    precision = trainer.get("precision")
    return str(ALIASES.get(precision, precision))


def _check_precision(trainer: Mapping[str, Any], optimizer: Mapping[str, Any]) -> None:
    eps = optimizer.get("eps")
    if _precision(trainer) == "16-true" and isinstance(eps, float) and eps < SMALLEST_HALF:
        raise ConfigError(
            f"trainer.precision=16-true: expected optimizer.eps of at least {SMALLEST_HALF:g}; got {eps:g}, by which "
            "float16 divides as by 0. Set optimizer.eps=1e-4, trainer.precision=bf16-true or 16-mixed"
        )


def _check_sharding(trainer: Mapping[str, Any], optimizer: Mapping[str, Any]) -> None:
    """What Lightning and torch refuse of FSDP, but after the processes have started."""
    strategy = trainer.get("strategy")
    if isinstance(strategy, str) and strategy.startswith("fsdp"):
        raise ConfigError(f"trainer.strategy={strategy}: an older FSDP, which clips wrongly. Set trainer=fsdp")
    target = str(strategy.get("_target_")) if isinstance(strategy, Mapping) else ""
    if not target.endswith((".Sharded", ".ModelParallelStrategy")):
        return
    if _precision(trainer) not in SHARDED_PRECISIONS:
        raise ConfigError(
            f"trainer.precision: trainer=fsdp takes {', '.join(SHARDED_PRECISIONS)}; got {_precision(trainer)}. "
            "Set one of them, or trainer=ddp"
        )
    if optimizer.get("fused") is True and optimizer.get("_target_") not in FUSED_IN_PARTS:
        raise ConfigError(
            f"optimizer.fused=true: trainer=fsdp takes it with {' or '.join(FUSED_IN_PARTS)}; got "
            f"{optimizer.get('_target_')}. Set optimizer.fused=auto"
        )


def _check_nodes(num_nodes: int | None) -> None:
    """Several machines wait for each other; without word of the others, for ever."""
    if (num_nodes or 1) > 1 and not any(name in os.environ for name in RENDEZVOUS):
        raise ConfigError(
            f"trainer.num_nodes: expected 1, or a launcher that brings the machines together (torchrun, SLURM, or "
            f"MASTER_ADDR and NODE_RANK in the environment); got {num_nodes}"
        )


def check_memory(config: Mapping[str, Any]) -> None:
    """Refuse a net whose weights and gradients, or drawn data which, this machine cannot hold.

    Raises:
        Refused: with what it would take and what there is.
    """
    model, data, has = config["model"], config["data"], _machine()
    if model.get("_target_") == MLP and (takes := 2 * FLOAT * hidden_weights(model)) > has:
        raise ConfigError(
            f"model.width and model.depth: expected a net that fits in {has / 1e9:.0f} GB of memory; got one whose "
            f"weights and gradients take {takes / 1e9:,.0f} GB"
        )
    if data.get("_target_") == NOISE and (takes := 3 * FLOAT * data["num_samples"] * data["num_features"]) > has:
        raise ConfigError(
            f"data.num_samples and data.num_features: expected data that fit in {has / 1e9:.0f} GB of memory; got "
            f"{takes / 1e9:,.0f} GB"
        )


def hidden_weights(model: Mapping[str, Any]) -> int:
    """Weights between hidden layers, each of which is given the last ``reach`` of them where they are concatenated.

    Example:
        >>> hidden_weights({"hidden": [2, 3, 4], "skip": "concat"})
        26
    """
    hidden = model.get("hidden")
    widths = [model.get("width", 1)] * model.get("depth", 0) if hidden is None else hidden
    reach = (model.get("reach") or len(widths)) if model.get("skip") == "concat" else 1
    before = [0, *accumulate(widths)]
    return sum(size * (before[i] - before[max(0, i - reach)]) for i, size in enumerate(widths))


def _machine() -> float:
    """Bytes of memory; endless where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return float("inf")
