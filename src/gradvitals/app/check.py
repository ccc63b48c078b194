"""What numbers a config may hold, told before anything heavy is imported and before a run directory is made.

Names (of an activation, a norm, a loss ...) are checked where they are looked up; here stand types and ranges that
torch and Lightning would let pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradvitals.app.errors import Refused


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words and as a test."""

    expected: str
    accepts: Callable[[Any], bool]


def number(low: float = -math.inf, high: float = math.inf, above: float = -math.inf) -> Rule:
    """A finite number of at least ``low``, at most ``high``, greater than ``above``."""
    bounds = [f"of at least {low:g}"] * (low > -math.inf) + [f"above {above:g}"] * (above > -math.inf)
    bounds += [f"at most {high:g}"] * (high < math.inf)

    def accepts(value: Any) -> bool:
        real = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        return real and low <= value <= high and value > above

    return Rule(" ".join(["a number", " and ".join(bounds)]).strip(), accepts)


def whole(low: int, high: int = 2**63) -> Rule:
    """A whole number between two."""
    upto = f"from {low} to {high}" if high < 2**63 else f"of at least {low}"
    return Rule(
        f"a whole number {upto}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
    )


def one_of(*values: Any) -> Rule:
    """One of some words; true and false are not 1 and 0."""
    words = ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
    return Rule(
        f"one of {words}", lambda value: any(value is v or (value == v and type(value) is type(v)) for v in values)
    )


def either(*rules: Rule) -> Rule:
    """Any of several rules."""
    return Rule(" or ".join(rule.expected for rule in rules), lambda value: any(rule.accepts(value) for rule in rules))


def optional(rule: Rule) -> Rule:
    """The rule, or null."""
    return Rule(f"{rule.expected}, or null", lambda value: value is None or rule.accepts(value))


def list_of(rule: Rule, length: int | None = None) -> Rule:
    """A list whose items follow the rule."""
    return Rule(
        f"a list{f' of {length}' if length else ''}, each {rule.expected}",
        lambda value: isinstance(value, list) and length in (None, len(value)) and all(map(rule.accepts, value)),
    )


boolean = one_of(True, False)
text = Rule("a text", lambda value: isinstance(value, str))
share = either(whole(0), number(0, 1))
interval = either(whole(1), number(above=0, high=1))
endless = Rule("a whole number of 1 or more, or -1 for no limit", either(whole(1), one_of(-1)).accepts)

RULES: dict[str, Rule] = {
    "task_name": Rule("a word without slashes", lambda v: isinstance(v, str) and v not in ("", "..") and "/" not in v),
    "tags": list_of(text),
    "seed": optional(whole(0, 2**32 - 1)),
    "train": boolean,
    "test": one_of("best", "last", False),
    "objective": text,
    "on_failure": one_of("continue", "stop"),
    "report": boolean,
    "threads": either(whole(1), one_of("auto")),
    "compile": optional(one_of("default", "reduce-overhead", "max-autotune")),
    "ckpt_path": optional(text),
    "weights": optional(text),
    "model.depth": whole(0),
    "model.width": whole(1),
    "model.hidden": optional(list_of(whole(1))),
    "model.norm_eps": optional(number(above=0)),
    "model.norm_momentum": optional(number(0, 1)),
    "model.norm_groups": optional(whole(1)),
    "model.reach": optional(whole(1)),
    "model.head": boolean,
    "act.negative_slope": number(),
    "act.init": number(),
    "act.alpha": number(above=0),
    "act.beta": number(above=0),
    "act.threshold": number(),
    "act.min_val": number(),
    "act.max_val": number(),
    "init.gain": number(),
    "init.scale": number(above=0),
    "init.low": number(),
    "init.high": number(),
    "init.std": number(0),
    "init.bias": optional(either(one_of("zeros", "default"), number(0))),
    "clip.val": optional(number(above=0)),
    "optimizer.lr": number(0),
    "optimizer.momentum": number(0),
    "optimizer.weight_decay": number(0),
    "optimizer.eps": number(0),
    "optimizer.alpha": number(0, 1),
    "optimizer.betas": list_of(number(0, 1), length=2),
    "optimizer.nesterov": boolean,
    "optimizer.fused": either(boolean, one_of("auto")),
    "scheduler.interval": one_of("step", "epoch"),
    "scheduler.T_max": optional(whole(1)),
    "scheduler.eta_min": number(0),
    "scheduler.max_lr": optional(number(above=0)),
    "scheduler.total_steps": optional(whole(1)),
    "scheduler.pct_start": number(0, 1),
    "scheduler.factor": number(0, 0.999999),
    "scheduler.patience": whole(0),
    "scheduler.step_size": whole(1),
    "scheduler.gamma": number(0),
    "data.batch_size": whole(1),
    "data.shuffle": boolean,
    "data.num_workers": whole(0),
    "data.split_seed": whole(0, 2**32 - 1),
    "data.split": boolean,
    "data.download": boolean,
    "data.num_val": whole(1),
    "data.num_samples": whole(2),
    "data.num_features": whole(1),
    "data.seed": optional(whole(0, 2**32 - 1)),
    "data.root": text,
    "data.path": text,
    "data.drop": list_of(text),
    "data.categorical": list_of(text),
    "monitor.every_n_steps": whole(1),
    "monitor.first_steps": whole(0),
    "monitor.spike_factor": number(above=1),
    "monitor.spike_steps": whole(0),
    "monitor.on_non_finite": one_of("warn", "skip", "stop"),
    **{f"monitor.{key}": boolean for key in ("activations", "updates", "norm_layers", "noise_scale", "histograms")},
    "monitor.clip_cosine": boolean,
    "monitor.max_layers": optional(whole(1)),
    "monitor.auto_stop": boolean,
    "monitor.include": optional(list_of(text)),
    "monitor.exclude": list_of(text),
    "callbacks.picture.limits": optional(list_of(number(above=0), length=2)),
    "trainer.devices": either(whole(1), one_of("auto"), list_of(whole(0))),
    "trainer.num_nodes": whole(1),
    "trainer.max_epochs": optional(endless),
    "trainer.min_epochs": optional(whole(1)),
    "trainer.max_steps": endless,
    "trainer.limit_train_batches": share,
    "trainer.limit_val_batches": share,
    "trainer.limit_test_batches": share,
    "trainer.overfit_batches": share,
    "trainer.check_val_every_n_epoch": optional(whole(1)),
    "trainer.val_check_interval": optional(interval),
    "trainer.num_sanity_val_steps": either(whole(0), one_of(-1)),
    "trainer.log_every_n_steps": whole(1),
    "trainer.accumulate_grad_batches": whole(1),
    "trainer.gradient_clip_val": optional(number(above=0)),
    "trainer.gradient_clip_algorithm": optional(one_of("norm", "value")),
    "trainer.deterministic": either(boolean, one_of("warn")),
    "trainer.detect_anomaly": boolean,
    "trainer.fast_dev_run": either(boolean, whole(0)),
}


GROUPS = ("model", "act", "init", "clip", "optimizer", "scheduler", "data", "monitor", "trainer")


def check(config: Mapping[str, Any], typed: Iterable[str] = ()) -> None:
    """Refuse a config that cannot be meant.

    Args:
        config: plain values, resolved.
        typed: the keys that the user typed, which may not contradict each other.

    Raises:
        Refused: with the key, what was expected and what came.
    """
    for group in GROUPS:
        if not isinstance(config.get(group), Mapping):
            raise Refused(f"{group}: expected an option of the group; got none. Set it by {group}=OPTION")
    check_values(config)
    _check_model(config, set(typed))
    _check_clipping(config, set(typed))


def check_values(config: Mapping[str, Any]) -> None:
    """Refuse values of a wrong type or out of range, each on its own; keys that are not there are passed over."""
    for key, rule in RULES.items():
        value, present = _find(config, key)
        waits = isinstance(value, str) and "${" in value  # known only inside the job
        if present and not waits and _is_ours(config, key) and not rule.accepts(value):
            raise Refused(f"{key}: expected {rule.expected}; got {value!r}")


def _is_ours(config: Mapping[str, Any], key: str) -> bool:
    """Whether the rule's section is built from a class that we know; one's own may mean other things by its keys."""
    section = config.get(key.partition(".")[0])
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
            raise Refused(
                f"model.{key}: model.hidden={model['hidden']} says the widths already. "
                f"Set model.hidden=null to use depth and width, or leave model.{key} out"
            )
    batch_norm = "batch" in (model.get("norm"), model.get("input_norm")) or model.get("input_norm") is True
    if batch_norm and config["data"].get("batch_size") == 1:
        raise Refused("data.batch_size: BatchNorm needs at least 2 samples in a batch; got 1. Or use model=ln")


def _check_clipping(config: Mapping[str, Any], typed: set[str]) -> None:
    name, val, trainer = config["clip"].get("name"), config["clip"].get("val"), config["trainer"]
    by_trainer = trainer.get("gradient_clip_val")
    if by_trainer is not None and name != "none":
        raise Refused(
            f"trainer.gradient_clip_val={by_trainer} and clip={name} both clip. Keep one: clip=none, or leave "
            "trainer.gradient_clip_val out"
        )
    if "trainer.gradient_clip_algorithm" in typed and by_trainer is None:
        raise Refused(
            "trainer.gradient_clip_algorithm: expected trainer.gradient_clip_val beside it; or type clip=value"
        )
    if name == "none" and val is not None:
        raise Refused(f"clip.val={val}: clip=none clips nothing. Set clip=norm, or another of that group")
    if name != "none" and val is None:
        raise Refused(f"clip.val: clip={name} needs a threshold; got null")
    if name == "percentile" and val > 100:
        raise Refused(f"clip.val: expected a percentile, above 0 and at most 100; got {val}")
    clips = by_trainer is not None or name != "none"
    if clips and config["optimizer"].get("fused") is True and str(trainer.get("precision")).endswith("mixed"):
        raise Refused(
            "optimizer.fused=true: Lightning cannot clip under mixed precision then. Set optimizer.fused=false"
        )
