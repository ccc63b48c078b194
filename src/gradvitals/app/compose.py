"""The config of ``train.py`` composed inside a process, changed by a remedy, and written down as an experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.check import check
from gradvitals.app.guard import typed_keys
from gradvitals.app.names import quoted, slug

CONF = Path(__file__).parents[3] / "conf"
OF_THE_RUN = (
    "paths",
    "task_name",
    "resume",
    "resume_sweep",
    "join_sweep",
    "ckpt_path",
)  # where a run lies and how it began: no part of an experiment
FLATTENED = ("experiment", "debug", "sweep")  # groups of values for all the others; written as those values
BY_TRAINER = ("trainer.gradient_clip_val", "trainer.gradient_clip_algorithm")  # the other way to clip
ABSENT = object()


@dataclass(frozen=True)
class Composed:
    """A config of ``train.py``, and the option of each group."""

    config: DictConfig
    choices: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """Its values, interpolations left as they are."""
        return OmegaConf.to_container(self.config, resolve=False)  # type: ignore[return-value]


def compose(overrides: Sequence[str], conf: Path = CONF) -> Composed:
    """What ``python src/train.py OVERRIDES`` would compose, without running it.

    Raises:
        hydra.errors.HydraException: an override that does not fit; see :func:`gradvitals.app.errors.explain`.

    Example:
        >>> compose(["act=elu"]).config.act.alpha
        1.0
    """
    OmegaConf.register_new_resolver("gradvitals.slug", slug, replace=True)
    with _aside(), initialize_config_dir(str(conf), version_base="1.3"):
        config = hydra.compose("train", list(overrides), return_hydra_config=True)
    choices = {group: option for group, option in config.hydra.runtime.choices.items() if "/" not in group}
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    return Composed(config, choices)


@contextmanager
def _aside() -> Iterator[None]:
    """Put the Hydra of a job that is running aside, which allows no second one."""
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = running


def settings_of(overrides: Sequence[str], run_dir: Path, conf: Path = CONF) -> dict[str, Any]:
    """The same as plain values, checked as a run's are, with ``overrides``, ``typed`` and ``choices`` beside them.

    Raises:
        hydra.errors.HydraException: see :func:`compose`.
        gradvitals.app.errors.Refused: see :func:`gradvitals.app.check.check`.
    """
    composed = compose([*overrides, f"paths.run={quoted(run_dir)}"], conf)
    settings: dict[str, Any] = OmegaConf.to_container(composed.config, resolve=True)  # type: ignore[assignment]
    settings |= {"overrides": list(overrides), "typed": typed_keys(list(overrides)), "choices": composed.choices}
    check(settings, settings["typed"])
    return settings


def changed(typed: Sequence[str], remedy: Sequence[str], conf: Path = CONF) -> list[str]:
    """Typed overrides with a remedy in them: all stay that the remedy does not touch.

    A key of an option that is replaced (``act.negative_slope`` where ``act`` changes) stays where the two options agree
    on its default: ``init.output`` means the same to all initializers, ``model.norm`` is what tells models apart. Where
    the key was set by an experiment's file, which goes on setting it, it is taken back.

    Example:
        >>> changed(["act=leaky_relu", "act.negative_slope=0.3", "model.depth=9"], ["act=elu"])
        ['model.depth=9', 'act=elu']
        >>> changed(["experiment=iris_leaky"], ["act=elu"])
        ['experiment=iris_leaky', 'act=elu', '~act.negative_slope']
    """
    remedied = dict(zip(map(_key, remedy), remedy, strict=True))
    choices = compose(typed, conf).choices
    options = {key: word.partition("=")[2] for key, word in remedied.items() if key in choices}
    clashes = {g: _differences(conf, g, choices[g], option) for g, option in options.items() if option != choices[g]}
    dropped = {*remedied, *(f"{group}.{name}" for group, names in clashes.items() for name in names)}
    dropped |= set(BY_TRAINER) if "clip" in options else set()
    kept = [word for word in typed if _key(word) not in dropped]
    return [*kept, *remedy, *_taken_back([*kept, *remedy], clashes, options, set(remedied), conf)]


def _taken_back(
    words: list[str],
    clashes: Mapping[str, Mapping[str, Any]],
    options: Mapping[str, str],
    remedied: set[str],
    conf: Path,
) -> list[str]:
    """Overrides against what an experiment's file set for the options that were replaced."""
    if not any(_key(word) in FLATTENED for word in words):
        return []
    config, found = compose(words, conf).plain(), []
    for group, names in clashes.items():
        for name in (name for name in names if f"{group}.{name}" not in remedied):
            if name in config[group] and config[group][name] != names[name]:
                gone = names[name] is ABSENT
                found.append(f"~{group}.{name}" if gone else f"{group}.{name}={_word(names[name])}")
    if "clip" in options and config["trainer"].get("gradient_clip_val") is not None:
        found += [f"{key}=null" for key in BY_TRAINER]
    return found


def _differences(conf: Path, group: str, old: str, new: str) -> dict[str, Any]:
    """Key -> what the new option says by default, of those on which it differs from the old one."""
    before, after = _option(conf, group, old), _option(conf, group, new)
    keys = [key for key in {**before, **after} if before.get(key, ABSENT) != after.get(key, ABSENT)]
    return {key: after.get(key, ABSENT) for key in keys if key != "name"}


def _option(conf: Path, group: str, name: str) -> dict[str, Any]:
    """What an option's file holds, those that it builds on included; composing it would take half a second."""
    file = conf / group / f"{name}.yaml"
    content: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(file)) if file.is_file() else {}  # type: ignore[assignment]
    bases = [base for base in content.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    found: dict[str, Any] = {}
    for base in bases:
        found |= _option(conf, group, base)
    return found | content


def _key(word: str) -> str:
    return OverridesParser.create().parse_override(word).key_or_group


def _word(value: Any) -> str:
    """A value as one types it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


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
    usual = _usual_choices(conf)
    chosen = {g: o for g, o in composed.choices.items() if g not in FLATTENED and o != usual.get(g)}
    base = compose([f"{group}={option}" for group, option in chosen.items()], conf)
    values = {key: v for key, v in difference(composed.plain(), base.plain()).items() if key not in OF_THE_RUN}
    lines = ["defaults:", *(f"  - override /{group}: {option}" for group, option in chosen.items()), ""]
    return "\n".join(lines if chosen else []) + ("\n" + OmegaConf.to_yaml(values) if values else "")


def _usual_choices(conf: Path) -> dict[str, str]:
    """The options of ``train.yaml``'s defaults list."""
    listed = OmegaConf.load(conf / "train.yaml").defaults
    return {str(key): option for item in listed if not isinstance(item, str) for key, option in item.items()}


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
