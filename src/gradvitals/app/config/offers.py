"""What was probably meant by a key or an option that does not exist: up to three overrides that can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.compose import FLATTENED, options_of_groups, usual_choices
from gradvitals.app.config.conf_folder import conf_folder, config_file
from gradvitals.app.config.other_templates import EXPLAINED, KEYS, LOGGERS, OPTIONS
from gradvitals.app.config.overrides import key_of, parsed
from gradvitals.app.config.schema import RULES
from gradvitals.formatting import as_typed, command

MOST = 3
CLOSE = 0.8  # of two names, by difflib
UNKNOWN = "VALUE"


def no_such_key(key: str, value: str | None, root: DictConfig | None = None) -> str:
    """Returns one line about a key that does not exist, with what is typed in its place.

    Args:
        key: as it was typed, all of it.
        value: as it was typed; None without one.
        root: the composed config; None where the command line could not be read so far.

    Example:
        >>> print(no_such_key("epochs", "5"))
        epochs: no such key; expected trainer.max_epochs=5
        >>> print(no_such_key("model.net.dropout", "0.1"))
        model.net.dropout: no such key; no network here has dropout; your own may (docs/guides/bring_your_own.md)
    """
    return f"{key}: no such {'group' if '/' in key else 'key'}; {instead(key, value, root)}"


def instead(key: str, value: str | None, root: DictConfig | None = None) -> str:
    """Returns what is typed in place of a key; see :func:`no_such_key`.

    Example:
        >>> instead("trainer.max_epochs", "5")
        'expected trainer.max_epochs=5'
    """
    if (habit := OPTIONS.get(f"{key}={value}") or OPTIONS.get(key)) is not None:
        return f"expected {habit}"
    if (why := EXPLAINED.get(_last(key))) is not None:
        return why
    found = _Known(root).offers(key, value)
    return f"expected {either(found)}" if found else lists_all()


def no_such_option(group: str, option: str, options: Sequence[str] = (), conf: Path | None = None) -> str:
    """Returns one line about an option that its group does not have.

    Example:
        >>> print(no_such_option("optimizer", "cosine"))
        optimizer=cosine: no such option; expected scheduler=cosine
    """
    groups = options_of_groups(conf or conf_folder())
    refused, options = f"{group}={option}: no such option", options or groups.get(group, ())
    if (habit := OPTIONS.get(f"{group}={option}")) is not None:
        return f"{refused}; expected {habit}"
    close = [f"{group}={name}" for name in get_close_matches(option, options, n=MOST, cutoff=0.5)]
    elsewhere = [f"{other}={option}" for other, names in groups.items() if other != group and option in names]
    near = options if len(options) <= 3 * MOST else get_close_matches(option, options, n=MOST, cutoff=0.0)
    found = [*elsewhere, *close][:MOST] or [f"{group}={name}" for name in near]
    more = ""
    if group == "logger" and not close and option.isidentifier():
        content = f"{option}: {{_target_: {LOGGERS.get(option, 'package.module.Class')}}}"
        more = f". Another logger is a file, conf/logger/{option}.yaml: {content}"
    return f"{refused}; {f'expected {either(found)}' if found else lists_all()}{more}"


def lists_all() -> str:
    """Returns where all keys and options are."""
    return f"{command('train')} --help lists all"


def either(words: Iterator[str] | Sequence[str]) -> str:
    """Returns the words as an enumeration.

    Example:
        >>> either(["a"]), either(["a", "b", "c"])
        ('a', 'a, b or c')
    """
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def as_it_was_typed(key: str, argv: Sequence[str]) -> tuple[str, str | None]:
    """Returns the whole key and the value of the override in which a key was refused.

    Example:
        >>> as_it_was_typed("model.net", ["act=elu", "++model.net.size=3"])
        ('model.net.size', '3')
    """
    for word in argv:
        if key_of(word) == key or key_of(word).startswith(f"{key}."):
            return key_of(word), word.partition("=")[2] if "=" in word else None
    return key, None


class _Known:
    """The keys of a config with their values now, and the options of each group."""

    def __init__(self, root: DictConfig | None) -> None:
        self.conf = conf_folder()
        self.groups = options_of_groups(self.conf)
        self.values: dict[str, Any] = dict.fromkeys(RULES, UNKNOWN)
        if root is not None:
            plain: Any = OmegaConf.to_container(root, resolve=False)
            plain.pop("hydra", None)
            self.values = {**dict(_flat(plain)), "hydra.run.dir": UNKNOWN}

    def offers(self, key: str, value: str | None) -> list[str]:
        if key in self.values or key in self.groups:  # typed as a flag
            return [self._typed(key, value)]
        renamed = KEYS.get(_last(key)) or KEYS.get(re.split(r"[./]", key)[0])
        if renamed and _last(key) not in KEYS:  # datamodule.batch_size
            inside = f"{renamed}.{_last(key)}"
            renamed = inside if inside in self.values else None
        if renamed in self.values or renamed in self.groups:
            return [self._typed(str(renamed), value)]
        last = (renamed and _last(renamed)) or _last(key)
        same = [name for name in (*self.values, *self.groups) if _last(name) == last and not name.endswith("_target_")]
        same.sort(key=lambda name: -_alike(name, key))
        found = [self._typed(name, value) for name in same] or list(self._of_options(renamed or key, value))
        found = found or [self._typed(name, value) for name in self._close(key)] or self._section(key)
        return found[:MOST]

    def _section(self, key: str) -> list[str]:
        """The keys beside it, where there are few."""
        section = key.rpartition(".")[0]
        names = [name for name in self.values if section and name.rpartition(".")[0] == section]
        return [self._typed(name, None) for name in names if not name.endswith("_target_")]

    def _close(self, key: str) -> list[str]:
        """A name in the same section may differ by more than one in another section."""
        section, last = key.rpartition(".")[0], _last(key)
        scores = {
            name: _alike(_last(name), last) + (0.15 if name.rpartition(".")[0] == section else 0.0)
            for name in (*self.values, *self.groups)
            if not name.endswith("_target_")
        }
        return sorted((name for name in scores if scores[name] >= CLOSE), key=lambda name: -scores[name])

    def _of_options(self, key: str, value: str | None) -> Iterator[str]:
        """Keys that only other options of a group have, with the option; those of the same group first."""
        section, last = key.partition(".")[0], _last(key)
        if not any(_last(name) == last for name in RULES):
            return
        for group in sorted(self.groups, key=lambda group: group != section):
            options = self.groups[group] if group not in FLATTENED and "/" not in group else ()
            for option in sorted(options, key=lambda option: option == "csv"):  # which needs a path and a target, too
                names = (name for name, _ in _flat(_content(self.conf, group, option)) if _last(name) == last)
                yield from (f"{group}={option} {self._typed(f'{group}.{name}', value)}" for name in names)

    def _typed(self, name: str, value: str | None) -> str:
        """An override: with the value that was typed if it fits, else with the one that the key has now."""
        if value is not None and name.startswith("hydra/"):  # a package may add options
            return shlex.quote(f"{name}={value}")
        if name in self.groups:
            usual = usual_choices(self.conf).get(name) or self.groups[name][0]
            return f"{name}={value if value in self.groups[name] else usual}"
        if value is not None and _fits(name, value):
            return shlex.quote(f"{name}={value}")
        now = self.values.get(name, UNKNOWN)
        return shlex.quote(f"{name}={now if isinstance(now, str) and '${' in now else as_typed(now)}")


def _fits(name: str, value: str) -> bool:
    found = parsed(f"{name}={value}")
    if found is None or found.is_sweep_override() or name not in RULES:
        return found is not None
    return RULES[name].accepts(_plain(found.value()))


def _plain(value: Any) -> Any:
    """A value without Hydra's own strings, which know their quotes."""
    return OmegaConf.to_container(OmegaConf.create({"value": value}))["value"]  # type: ignore[index, call-overload]


def _last(key: str) -> str:
    return re.split(r"[./]", key)[-1]


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _content(conf: Path, group: str, option: str) -> dict[str, Any]:
    content: Any = OmegaConf.to_container(OmegaConf.load(config_file(f"{group}/{option}", conf)))  # type: ignore[arg-type]
    return {key: value for key, value in content.items() if key != "defaults"}
