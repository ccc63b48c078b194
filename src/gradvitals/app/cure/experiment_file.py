"""Writes the cured config as an experiment file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gradvitals.app.config.compose import FLATTENED, compose
from gradvitals.app.config.conf_folder import is_of_a_user
from gradvitals.app.config.overrides import slug
from gradvitals.app.cure.attempts import Attempt, CureState
from gradvitals.formatting import command, typed, visible

OF_THE_RUN = ("paths", "task_name", "resume", "resume_sweep", "join_sweep", "ckpt_path")  # no part of an experiment


def experiment(overrides: Sequence[str], conf: Path | None = None) -> str:
    """Returns the content of an experiment file with these overrides: options that are not the default, then values.

    What comes from another experiment is written out, so that the file depends on no other.

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
    usual = compose([], conf).choices  # with those of conf/local, which is no part of an experiment
    chosen = {
        group: option
        for group, option in composed.choices.items()
        if group not in FLATTENED and option != usual.get(group)
    }
    base = compose([f"{group}={option}" for group, option in chosen.items()], conf)
    values = {key: v for key, v in difference(composed.plain(), base.plain()).items() if key not in OF_THE_RUN}
    lines = ["defaults:", *(f"  - override /{group}: {option}" for group, option in chosen.items()), ""]
    return "\n".join(lines if chosen else []) + ("\n" + OmegaConf.to_yaml(values) if values else "")


def difference(config: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what must be merged over the base to get the config; None for keys that only the base has.

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
    """Returns a name for the file, made of the overrides, that Hydra accepts without quotes.

    Example:
        >>> name_of(["act=sigmoid", "model.depth=12", "paths.logs=elsewhere"])
        'act-sigmoid_model_depth-12'
        >>> name_of(["experiment=vanishing"])
        'vanishing'
    """
    words = without_paths(overrides)
    return re.sub(r"[^A-Za-z0-9-]+", "_", slug(words)).strip("_-") or "default"


def without_paths(overrides: Sequence[str]) -> list[str]:
    """Returns the overrides without those that only choose where files are written."""
    return [word for word in overrides if not word.startswith(("paths.", "hydra."))]


def write_experiment(state: CureState, cured: Attempt, name: str, conf: Path, run_dir: Path) -> Path:
    """Writes ``conf/experiment/cured/NAME.yaml`` and returns the file; without a project ``RUN_DIR/cured.yaml``.

    An existing file is replaced if it cures the same config; otherwise the name becomes NAME_2, NAME_3 and so on.
    """
    if not is_of_a_user(conf):
        from gradvitals.report.pages.cure_page import FILE

        return _write(run_dir / FILE, state, cured, typed("train", without_paths(cured.trial.overrides)), conf)
    folder = cured_folder(conf)
    folder.mkdir(parents=True, exist_ok=True)
    cures = _cures(state)
    files = (folder / f"{name}{f'_{i}' if i > 1 else ''}.yaml" for i in count(1))
    file = next(file for file in files if not file.exists() or cures in file.read_text(encoding="utf-8").splitlines())
    return _write(file, state, cured, typed("train", [f"experiment=cured/{file.stem}"]), conf)


def cured_folder(conf: Path) -> Path:
    """Returns the folder of cured experiments."""
    return conf / "experiment" / "cured"


def _write(file: Path, state: CureState, cured: Attempt, run_by: str, conf: Path) -> Path:
    remedy, full, sick = cured.remedy, cured.trial, state.sick
    lines = [
        "@package _global_",
        run_by,
        f"Shows    the {sick.verdict} net below cured by {cured}: {remedy.why}.",
        f"Outcome  {full.best_text} and {full.verdict} at its end; before {sick.best_text}, {sick.evidence}",
        f"Time     {full.seconds:.0f} s",
        f"Source   {remedy.source}; {command('cure')}, at a cost of {state.cost:.1f} full trainings",
    ]
    header = [*map(_comment, lines), _cures(state), ""]
    file.write_text("\n".join(header) + experiment(full.overrides, conf), encoding="utf-8")
    return file


def _cures(state: CureState) -> str:
    return _comment(f"Cures    {typed('train', without_paths(state.overrides))}")


def _comment(text: str) -> str:
    """One line, even if a layer's name or an override contains line breaks."""
    return f"# {visible(' '.join(text.splitlines()))}"
