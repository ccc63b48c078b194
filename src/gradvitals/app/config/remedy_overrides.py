"""The overrides of a run with a remedy in them: the command line that a page recommends and that ``cure.py`` tries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.compose import FLATTENED, SILENT, usual_choices
from gradvitals.app.config.conf_folder import conf_folder, config_file
from gradvitals.app.config.overrides import key_of
from gradvitals.formatting import as_typed

BY_TRAINER = ("trainer.gradient_clip_val", "trainer.gradient_clip_algorithm")  # the other way to clip
OWNERS = {"model.norm_momentum": "norm", "model.norm_groups": "norm"}  # parameters that one norm alone takes
ABSENT = object()


def with_remedy(typed: Sequence[str], remedy: Sequence[str], conf: Path | None = None) -> list[str]:
    """Returns the typed overrides with a remedy in them; what the remedy does not touch stays.

    A key of an option that is replaced (``act.negative_slope`` where ``act`` changes) stays if both options have the
    same default for it: ``init.output`` means the same to all initializers, ``model.norm`` distinguishes models.
    Otherwise it is left out, and where an experiment's file sets it, it is reset.

    Nothing is composed, which would take half a second for each remedy of a page.

    Example:
        >>> with_remedy(["act=leaky_relu", "act.negative_slope=0.3", "model.depth=9"], ["act=elu"])
        ['model.depth=9', 'act=elu']
        >>> with_remedy(["experiment=iris_leaky"], ["act=elu"])
        ['experiment=iris_leaky', 'act=elu', '~act.negative_slope']
    """
    conf = conf or conf_folder()
    keys = {key_of(word) for word in remedy}
    files = [_read(conf, group, option) for group, option in _flattened(typed, conf)]
    before = _choices(typed, files, conf)
    after = {**before, **_options(remedy)}
    changed = [group for group in before if before[group] != after[group]]
    replaced = [_Replaced.read(conf, group, before[group], after[group]) for group in changed]
    replaced = [group for group in replaced if group.old != group.new]
    kept = [word for word in typed if key_of(word) not in keys and all(group.keeps(key_of(word)) for group in replaced)]
    if "clip" in keys:
        kept = [word for word in kept if key_of(word) not in BY_TRAINER]
    values: Any = OmegaConf.to_container(OmegaConf.merge({}, *(file.values for file in files)))
    resets = [word for group in replaced for word in group.resets(values.get(group.name) or {}, keys)]
    if "clip" in keys and (values.get("trainer") or {}).get("gradient_clip_val") is not None:
        resets += [f"{key}=null" for key in BY_TRAINER]
    return [*kept, *remedy, *resets]


@dataclass(frozen=True)
class _Replaced:
    """A group whose option a remedy replaces, with the values of both options' files."""

    name: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]

    @classmethod
    def read(cls, conf: Path, group: str, old: str, new: str) -> _Replaced:
        before, after = (OmegaConf.to_container(_read(conf, group, option).values) for option in (old, new))
        return cls(group, before.get(group, before), after.get(group, after))  # type: ignore[union-attr, arg-type]

    def keeps(self, key: str) -> bool:
        """Whether a typed key means the same to both options, or belongs to another group."""
        group, _, name = key.partition(".")
        return group != self.name or self._is_shared(name.partition(".")[0])

    def resets(self, values: Mapping[str, Any], remedied: set[str]) -> Iterator[str]:
        """Overrides against what an experiment's file sets for the old option."""
        for name, value in values.items():
            key, usual = f"{self.name}.{name}", self.new.get(name, ABSENT)
            if not self._is_shared(name) and key not in remedied and value != usual:
                yield f"~{key}" if usual is ABSENT else f"{key}={_typed(usual)}"

    def _is_shared(self, name: str) -> bool:
        owner = OWNERS.get(f"{self.name}.{name}", name)
        return all(key in self.old and key in self.new and self.old[key] == self.new[key] for key in (name, owner))


def _typed(value: Any) -> str:
    """A value of a config file as it is typed: an interpolation stays one."""
    return value if isinstance(value, str) and "${" in value else as_typed(value)


@dataclass(frozen=True)
class _File:
    """A config file, with those that it builds on: its values, and the options that it overrides."""

    values: DictConfig
    options: Mapping[str, str]


@cache  # a page asks for several remedies, each of which reads the same files
def _read(conf: Path, group: str, name: str) -> _File:
    file = config_file(f"{group}/{name}", conf)
    content: Any = OmegaConf.load(file) if file else OmegaConf.create()
    defaults = content.pop("defaults", [])
    options = {
        str(key).removeprefix("override ").removeprefix("/").partition("@")[0]: option
        for item in defaults
        if not isinstance(item, str)
        for key, option in item.items()
    }
    bases = [_read(conf, group, base) for base in defaults if isinstance(base, str) and base[0] not in "_/"]
    for base in bases:
        options = {**base.options, **options}
    return _File(OmegaConf.merge({}, *(base.values for base in bases), content), options)  # type: ignore[arg-type]


def _flattened(typed: Sequence[str], conf: Path) -> list[tuple[str, str]]:
    usual = {group: option for group, option in usual_choices(conf).items() if group in SILENT}
    found = {**usual, **_options(typed)}
    return [(group, found[group]) for group in FLATTENED if group in found]


def _choices(typed: Sequence[str], files: Sequence[_File], conf: Path) -> dict[str, str]:
    chosen = {group: option for file in files for group, option in file.options.items()}  # Hydra takes the last one
    chosen |= _options(typed)
    usual = usual_choices(conf)
    chosen = {**_read(conf, "model", chosen.get("model", usual["model"])).options, **chosen}  # its activation
    return {group: chosen.get(group, option) for group, option in usual.items()}


def _options(words: Sequence[str]) -> dict[str, str]:
    return {key_of(word): word.partition("=")[2] for word in words}
