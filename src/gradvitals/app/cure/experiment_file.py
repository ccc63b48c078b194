"""The cured configuration as an experiment file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gradvitals.app.config.compose import CONF, FLATTENED, compose, usual_choices
from gradvitals.app.config.overrides import slug
from gradvitals.app.cure.attempts import Cure, _value
from gradvitals.formatting import train_command, visible

OF_THE_RUN = (
    "paths",
    "task_name",
    "resume",
    "resume_sweep",
    "join_sweep",
    "ckpt_path",
)  # where a run lies and how it began: no part of an experiment


def experiment(overrides: Sequence[str], conf: Path = CONF) -> str:
    """The overrides as the content of an experiment's file: options that are not the default, then values.

    Values and options that come from another experiment are written out, so that the file stands on its own.

    Example:
        >>> print(experiment(["act=elu", "model.depth=12"]))
        defaults:
          - override /act: elu
        <BLANKLINE>
        model:
          depth: 12
        <BLANKLINE>
    """
    composed = compose(overrides, conf)
    usual = usual_choices(conf)
    chosen = {g: o for g, o in composed.choices.items() if g not in FLATTENED and o != usual.get(g)}
    base = compose([f"{group}={option}" for group, option in chosen.items()], conf)
    values = {key: v for key, v in difference(composed.plain(), base.plain()).items() if key not in OF_THE_RUN}
    lines = ["defaults:", *(f"  - override /{group}: {option}" for group, option in chosen.items()), ""]
    return "\n".join(lines if chosen else []) + ("\n" + OmegaConf.to_yaml(values) if values else "")


def difference(config: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What must be merged over the base to get the config; null for what the base alone has.

    Example:
        >>> difference({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"x": 1, "y": 0}, "b": 3, "c": 4})
        {'a': {'y': 2}, 'c': None}
    """
    found: dict[str, Any] = {}
    for key in {**config, **base}:
        new, old = config.get(key), base.get(key)
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            if inner := difference(new, old):
                found[key] = inner
        elif new != old:
            found[key] = new
    return found


def name_of(overrides: Sequence[str]) -> str:
    """A file's name made of what was typed, which Hydra takes unquoted.

    Example:
        >>> name_of(["act=sigmoid", "model.depth=12", "paths.logs=elsewhere"])
        'act_sigmoid_model_depth_12'
        >>> name_of(["experiment=vanishing"])
        'vanishing'
    """
    words = [word.removeprefix("experiment=") for word in shown(overrides)]
    return re.sub(r"[^A-Za-z0-9-]+", "_", slug(",".join(words))).strip("_-") or "default"


def write_experiment(done: Cure, name: str, conf: Path) -> Path:
    """Write ``conf/experiment/cured/NAME.yaml``; one that is there is replaced if it cures the same, else NAME_2 ...

    Returns:
        The file.
    """
    assert done.cured is not None
    folder = conf / "experiment" / "cured"
    folder.mkdir(parents=True, exist_ok=True)
    cures = _comment(f"Cures    {train_command(shown(done.overrides))}")
    names = (name if i == 1 else f"{name}_{i}" for i in range(1, 10_000))
    files = (folder / f"{candidate}.yaml" for candidate in names)
    file = next(file for file in files if not file.exists() or cures in file.read_text(encoding="utf-8").splitlines())
    file.write_text(header(done, file.stem, cures) + experiment(done.cured.trial.overrides, conf), encoding="utf-8")
    return file


def shown(overrides: Sequence[str]) -> list[str]:
    """Without what says only where files go."""
    return [word for word in overrides if not word.startswith(("paths.", "hydra."))]


def header(done: Cure, name: str, cures: str) -> str:
    """The comment that opens an experiment: its command, what it shows, outcome, time and source, and what it cures."""
    assert done.cured is not None
    remedy, full, sick = done.cured.remedy, done.cured.trial, done.sick
    lines = [
        "@package _global_",
        train_command([f"experiment=cured/{name}"]),
        f"Shows    the {sick.verdict} net below cured by {done.cured}: {remedy.why}.",
        f"Outcome  {_value(full)} and {full.verdict} at its end; before {_value(sick)}, {sick.evidence}",
        f"Time     {full.seconds:.0f} s",
        f"Source   {remedy.source}; python src/cure.py, at a cost of {done.cost:.1f} full trainings",
    ]
    return "\n".join([*map(_comment, lines), cures, ""])


def _comment(words: str) -> str:
    """A line of comment that no end of a line, in a layer's name or what was typed, can end early."""
    return f"# {visible(' '.join(words.splitlines()))}"
