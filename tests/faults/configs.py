"""Command lines drawn at random: options of all groups, keys of the chosen options, values sane and absurd."""

from __future__ import annotations

import random
from typing import Any

from omegaconf import OmegaConf

from tests.conftest import CONF

GROUPS = [folder.name for folder in sorted(CONF.iterdir()) if folder.is_dir() and folder.name != "hydra"]
OPTIONS = {group: sorted(file.stem for file in (CONF / group).glob("*.yaml")) for group in GROUPS}
USUAL = {
    group: option
    for item in OmegaConf.load(CONF / "train.yaml").defaults
    if not isinstance(item, str)
    for group, option in item.items()
    if not group.startswith("optional ")
}

# Several processes, and other people's servers: run by themselves, or not at all.
ELSEWHERE = {
    *(("trainer", name) for name in ("ddp_cpu", "ddp", "fsdp")),
    *(("logger", name) for name in ("aim", "comet", "mlflow", "wandb")),
}
PROCESSES = ("trainer.devices=2",)  # valid, and as good as trainer=ddp_cpu
# Sweeps, and what leads out of the folder or onto the network.
LEFT_OUT = {"resume", "resume_sweep", "join_sweep", "compile", "paths.run", "data.download", "_target_"}

SHORT = (
    "hydra.mode=RUN",
    "trainer.max_steps=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "report=false",
)
PICTURE = "callbacks.picture.enabled"
NO_PICTURE = (f"{PICTURE}=false",)  # half the time of a run; a line may draw it
FILES = {  # what the options that read files are given
    "csv": ("data.path=table.csv", "data.target=y"),
    **dict.fromkeys(("mnist", "fashion_mnist", "cifar10"), ("data.root=.", "data.download=false", "data.num_val=20")),
}

HUGE = ("1000000000", "10000000000000000000000", "1e30", "1e308")
ABSURD = (
    *("-1", "0", "0.0", "-0.5", "0.5", "1", "2", "-1e30", "1e-300", "nan", "inf", "-inf", ".nan", "1e400", *HUGE),
    *("null", "true", "false", "''", "' '", "abc", "'1'", "'null'", "none", "auto", "best", "val/loss"),
    *("[]", "[1,2]", "[-1]", "[0]", "[nan,1]", "[[1]]", "[null]", "[true,false]", "[a,b]", "[1000000000]"),
    *("{}", "{a:1}", "{name:relu}", "{_target_:os.system}", "'???'", "${seed}", "${model}", "${nosuch}"),
    *(
        "${oc.env:GRADVITALS_NO_SUCH}",
        "'${'",
        "'é∞漢'",
        "'a b'",
        "'../x'",
        "'a\\'b'",
        "'=1+1'",
        "x" * 3000,
        "1" + "0" * 400,
    ),
)
SANE: dict[str, tuple[str, ...]] = {
    "model.depth": ("0", "1", "2", "12"),
    "model.width": ("1", "2", "16", "300"),
    "model.hidden": ("[8]", "[16,4]", "[]", "[1,1,1]"),
    "model.norm": ("batch", "layer", "group", "instance", "rms", "null"),
    "model.norm_position": ("before_act", "after_act", "before_linear"),
    "model.norm_groups": ("1", "4"),
    "model.input_norm": ("true", "false", "batch", "layer", "rms"),
    "model.bias": ("true", "false", "auto"),
    "model.block": ("plain", "residual", "rezero"),
    "model.skip": ("none", "add", "concat"),
    "model.reach": ("1", "2", "null"),
    "init.output": ("glorot_uniform", "auto", "default", "lsuv", "normal"),
    "init.bias": ("zeros", "default", "0.1"),
    "init.mode": ("fan_in", "fan_out", "fan_avg"),
    "init.distribution": ("uniform", "truncated_normal", "untruncated_normal"),
    "act.approximate": ("tanh", "none"),
    "optimizer.fused": ("auto", "true", "false"),
    "optimizer.momentum": ("0.9", "0"),
    "scheduler.interval": ("step", "epoch"),
    "scheduler.mode": ("min", "max"),
    "scheduler.monitor": ("val/loss", "val/acc", "train/loss"),
    "loss": ("auto", "ce", "bce", "mse", "mean"),
    "test": ("best", "last", "false"),
    "train": ("true", "false"),
    "weights": ("nowhere", "table.csv", "latest:healthy", "latest:"),
    "ckpt_path": ("nowhere", "table.csv", "."),
    "objective": ("auto", "val/acc", "val/loss", "nosuch"),
    "objective_mode": ("auto", "min", "max"),
    "threads": ("auto", "1", "2"),
    "data.features": ("all", "petal", "sepal"),
    "data.scaling": ("raw", "standard", "unit", "per_pixel"),
    "data.task": ("auto", "binary", "multiclass", "regression"),
    "data.target": ("y", "x", "word"),
    "data.batch_size": ("1", "2", "7", "1000"),
    "monitor.on_non_finite": ("warn", "skip", "stop"),
    "monitor.include": ("[net.head]", "[nosuch]", "['*']", "null"),
    "monitor.exclude": ("[net.head]", "[net]", "['*']"),
    "monitor.thresholds": ("{}", "{patience:20}"),
    "trainer.accelerator": ("auto", "cpu", "gpu", "tpu", "mps"),
    "trainer.devices": ("1", "auto"),
    "trainer.precision": ("32-true", "bf16-mixed", "16-mixed", "64-true", "16-true", "bf16-true", "32"),
    "trainer.strategy": ("auto", "nosuch"),
    "trainer.max_time": ("00:00:00:30", "{seconds:30}", "null"),
    "trainer.max_steps": ("0", "1", "2"),
    "trainer.max_epochs": ("1", "0", "-1", "null"),
    "trainer.min_epochs": ("1", "null"),
    "trainer.val_check_interval": ("1", "0.5", "null"),
    "trainer.check_val_every_n_epoch": ("1", "null", "3"),
    "trainer.gradient_clip_val": ("1.0", "null"),
    "trainer.gradient_clip_algorithm": ("norm", "value"),
    "trainer.fast_dev_run": ("true", "1", "2"),
    "trainer.overfit_batches": ("1", "0.1", "2"),
    "trainer.profiler": ("simple", "null", "advanced"),
    "trainer.benchmark": ("true", "false", "null"),
    "callbacks.best.monitor": ("val/acc", "val/loss", "nosuch", "null"),
    "callbacks.best.mode": ("min", "max"),
    "callbacks.best.filename": ("best", "'{epoch}'", "'a/b'"),
    "callbacks.early_stopping.monitor": ("val/acc", "nosuch"),
    "callbacks.learning_rate.logging_interval": ("step", "epoch", "null"),
    "task_name": ("train", "mine"),
    "tags": ("[a]", "[a,b]"),
}


def drawn(seed: int) -> list[str]:
    """One command line; the same seed, the same line."""
    draw = random.Random(seed)
    words, choices = [], dict(USUAL)
    for group in draw.sample(GROUPS, draw.choice((0, 0, 1, 1, 2, 3))):
        choices[group] = _option(draw, group)
        words.append(f"{group}={choices[group]}")
    keys = keys_of(choices)
    absurdity = draw.choice((0.0, 0.0, 0.1, 0.5))
    for key in draw.sample(sorted(keys), draw.randint(0 if words else 1, 6 - len(words))):
        absurd = draw.random() < absurdity
        words.append(f"{key}={draw.choice(ABSURD) if absurd else _sane(draw, key, keys[key])}")
    words = [word for word in words if word not in PROCESSES]
    words += _slips(draw, sorted(keys))
    return [*SHORT, *FILES.get(str(choices["data"]), ()), *(NO_PICTURE if PICTURE in keys else ()), *words]


def _option(draw: random.Random, group: str) -> str:
    known = [option for option in OPTIONS[group] if (group, option) not in ELSEWHERE]
    if group == "sweep":
        known = ["grid"]  # the others are no single run
    return draw.choice(known) if draw.random() < 0.95 else draw.choice(("nosuch", "null", "1", "''", "{a:1}"))


def keys_of(choices: dict[str, Any]) -> dict[str, Any]:
    """Dotted key -> its value, of ``train.yaml`` and of the chosen options, without what is left out."""
    found: dict[str, Any] = {}
    _flatten(_content("train", ""), "", found)
    for group, option in choices.items():
        if group not in ("experiment", "debug", "sweep") and option in OPTIONS[group]:
            content = _content(option, group)
            _flatten(content.get(group, content), f"{group}.", found)  # of a file for the global package its group
    return {k: v for k, v in found.items() if k not in LEFT_OUT and k.rpartition(".")[2] not in LEFT_OUT}


def _content(name: str, group: str) -> dict[str, Any]:
    """What a file of conf/ holds, those it builds on included."""
    content: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))  # type: ignore[assignment]
    bases = [base for base in content.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    content.pop("hydra", None)
    found: dict[str, Any] = {}
    for base in bases:
        found |= _content(base, group)
    return found | content


def _flatten(content: dict[str, Any], prefix: str, found: dict[str, Any]) -> None:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            _flatten(value, f"{prefix}{key}.", found)
        else:
            found[f"{prefix}{key}"] = value


def _sane(draw: random.Random, key: str, usual: Any) -> str:
    if key in SANE:
        return draw.choice(SANE[key])
    if isinstance(usual, bool):
        return draw.choice(("true", "false"))
    if isinstance(usual, int):
        return str(usual * draw.choice((1, 2, 3, 10)))
    if isinstance(usual, float):
        return str(usual * draw.choice((0.1, 0.5, 1, 2, 100, 1e6)))
    return draw.choice(("null", "text", "1"))


def _slips(draw: random.Random, keys: list[str]) -> list[str]:
    """Now and then a word that was mistyped."""
    if draw.random() > 0.05:
        return []
    key = draw.choice(keys)
    slips = (
        f"{key}",
        f"{key}x=1",
        f"+{key}=1",
        f"++{key}=1",
        f"~{key}",
        f"+{key}.more=1",
        f"{key}=",
        f"={key}",
        "--nosuch",
    )
    more = (
        "nosuch=1",
        "+nosuch=1",
        "model._target_=torch.load",
        "optimizer._target_=torch.optim.Adagrad",
        "model@x=bn",
    )
    return [draw.choice((*slips, *more))]
