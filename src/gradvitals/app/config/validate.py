"""Validates a config, before anything heavy is imported and before a run directory is made.

:mod:`gradvitals.app.config.schema` says which values one key accepts; this module, which values fit each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from gradvitals.app.config.schema import ALIASES, RULES
from gradvitals.distributed.cluster_environment import ClusterEnvironment
from gradvitals.errors import ConfigError, shown

GROUPS = ("model", "act", "init", "clip", "optimizer", "scheduler", "data", "monitor", "trainer")
SEVERAL = ("callbacks", "logger")  # groups of several specs, each by a name of its own
# Keys that every run reads; ~KEY would remove them.
NEEDED = [key for key in RULES if "." not in key]
NEEDED += ["paths.logs", "act.name", "init.name", "init.gain", "init.output", "clip.name", "optimizer.lr"]
NEEDED += ["trainer.deterministic", "trainer.precision"]
# Each of them lets the processes of other machines find the first one.
RENDEZVOUS = ("MASTER_ADDR", "SLURM_JOB_ID", "LSB_JOBID", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "KUBERNETES_SERVICE_HOST")
SHARDED_PRECISIONS = ("32-true", "bf16-mixed", "bf16-true", "16-true")
FUSED_SHARDED = ("torch.optim.Adam", "torch.optim.AdamW")  # whose fused kernels take sharded weights
SMALLEST_HALF = 6.1e-5  # float16 loses the digits of smaller numbers, and 1e-8 is 0 to it
SEED = "PL_GLOBAL_SEED"  # Lightning's variable, by which it gives its seed to the processes that it starts


def check(config: Mapping[str, Any], typed: Iterable[str] = ()) -> None:
    """Refuses a config that cannot be meant.

    Args:
        config: plain values, resolved.
        typed: the keys that the user typed, which may not contradict each other.

    Raises:
        ConfigError: it names the key, what was expected and what came.
    """
    typed = set(typed)
    _check_sections(config)
    check_values(config)
    _check_model(config, typed)
    _check_clipping(config, typed)
    _check_precision(config["trainer"], config["optimizer"])
    _check_sharding(config["trainer"], config["optimizer"])
    _check_nodes(config["trainer"].get("num_nodes"))
    _check_seed(config["seed"])
    if not (config["train"] or config["weights"] or config["ckpt_path"]):
        raise ConfigError("train=false: nothing to test. Set weights=RUN_DIR or ckpt_path=FILE")


def _check_sections(config: Mapping[str, Any]) -> None:
    if silent := next((group for group in ("local", "project") if group in config), None):
        raise ConfigError(
            f"conf/{silent}/default.yaml: expected `# @package _global_` as the first line; got none, so that it only "
            f"sets keys of {silent}, which no run reads"
        )
    for group in GROUPS:
        if not isinstance(config.get(group), Mapping):
            raise ConfigError(f"{group}: expected an option of the group; got none. Set it by {group}=OPTION")
    for group in SEVERAL:
        for name, spec in (config.get(group) or {}).items():
            if spec is not None and not isinstance(spec, Mapping):
                raise ConfigError(f"{group}.{name}: expected a class and its arguments, or null; got {shown(spec)}")
    for key in NEEDED:
        if not _find(config, key)[1] and _is_ours(config, key):
            raise ConfigError(f"{key}: expected {RULES[key].expected}; got none. Every run needs it: leave out ~{key}")


def check_values(config: Mapping[str, Any]) -> None:
    """Refuses values of a wrong type or out of range, each on its own; keys that are missing are not checked."""
    for key, rule in RULES.items():
        value, present = _find(config, key)
        if present and _is_ours(config, key) and not rule.accepts(value):
            raise ConfigError(f"{key}: expected {rule.expected}; got {shown(value)}")


def _is_ours(config: Mapping[str, Any], key: str) -> bool:
    """Whether the key belongs to a class that we know; a class of the user may mean something else by it."""
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
    """Lightning and torch refuse these too, but only after the processes have started."""
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
    if optimizer.get("fused") is True and optimizer.get("_target_") not in FUSED_SHARDED:
        raise ConfigError(
            f"optimizer.fused=true: trainer=fsdp takes it with {' or '.join(FUSED_SHARDED)}; got "
            f"{optimizer.get('_target_')}. Set optimizer.fused=auto"
        )


def _check_nodes(num_nodes: int | None) -> None:
    """Without a launcher, the machines would wait for each other forever."""
    if (num_nodes or 1) > 1 and not any(name in os.environ for name in RENDEZVOUS):
        raise ConfigError(
            f"trainer.num_nodes: expected 1, or a launcher that connects the machines (torchrun, SLURM, or "
            f"MASTER_ADDR and NODE_RANK in the environment); got {num_nodes}"
        )


def _check_seed(seed: int | None) -> None:
    launcher = ClusterEnvironment.at_work()
    if launcher and seed is None and SEED not in os.environ:
        raise ConfigError(
            f"seed: expected a number; each process of {launcher.name} would draw its own. Set seed=NUMBER"
        )
