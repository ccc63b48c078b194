"""What ``--help`` says of the groups and of a command's own keys, from the comments of the config files.

The comment behind a group in the defaults list of ``conf/train.yaml`` is its phrase; the comment behind a key of
``conf/COMMAND.yaml`` says what the key does.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gradvitals.formatting import as_typed, command

WIDTH, GROUP, KEY = 80, 14, 27  # columns: of a terminal, and where phrases of groups and of keys begin
DEFAULT = re.compile(r"  - (?:override |optional )*/?(\w+): *(\w+) *(?:# *(.*))?")
SETTING = re.compile(r"( *)(\w+):(?: +([^#]*?))? *(?:# *(.*))?")


def register_help() -> None:
    """Registers the resolvers of ``hydra.help.template``."""
    OmegaConf.register_new_resolver("gradvitals.groups", _groups, replace=True)
    OmegaConf.register_new_resolver("gradvitals.own_keys", _own_keys, replace=True)
    OmegaConf.register_new_resolver("gradvitals.typed", _typed, replace=True)


def phrases(text: str) -> dict[str, str]:
    """Returns the phrase of each group in the defaults list of a config file.

    Example:
        >>> phrases("defaults:\\n  - _self_\\n  - act: relu             # the activation\\n")
        {'act': 'the activation'}
    """
    return {found[1]: found[3] or "" for line in text.splitlines() if (found := DEFAULT.fullmatch(line))}


def described_keys(text: str) -> dict[str, str]:
    """Returns the keys of a config file that have a comment behind them, with that comment; none of Hydra's.

    Example:
        >>> described_keys("task_name: cure\\nseed: 0   # of weights\\ncure:\\n  share: 0.1  # of the length\\n")
        {'seed': 'of weights', 'cure.share': 'of the length'}
    """
    found, parent = {}, ""
    for indent, key, value, comment in (line.groups() for line in map(SETTING.fullmatch, text.splitlines()) if line):
        if not indent:
            parent = "" if value else f"{key}."
        if comment and value and parent != "hydra." and len(indent) == (2 if parent else 0):
            found[f"{parent}{key}"] = comment
    return found


def groups_text(options: Mapping[str, Iterable[str]], about: Mapping[str, str], chosen: Mapping[str, str]) -> str:
    """Returns the lines about groups, those with a phrase first, and of each group the chosen option first.

    Example:
        >>> print(groups_text({"act": ["elu", "relu"]}, {"act": "the activation"}, {"act": "relu"}))
          act         the activation
                      relu, elu
    """
    order = [*(group for group in about if group in options), *(group for group in options if group not in about)]
    return "\n".join(
        line
        for group in order
        for line in (
            *([f"  {group:<{GROUP - 2}}{about[group]}"] if about.get(group) else [f"  {group}"]),
            _wrapped(", ".join(sorted(options[group], key=lambda name: name != chosen.get(group))), " " * GROUP, GROUP),
        )
    )


def _key(typed: str, comment: str) -> str:
    if len(typed) + 4 > KEY:
        return f"  {typed}\n{_wrapped(comment, ' ' * KEY, KEY)}"
    return _wrapped(comment, f"  {typed}".ljust(KEY), KEY)


def _wrapped(text: str, first: str, indent: int) -> str:
    return textwrap.fill(text, WIDTH - 1, initial_indent=first, subsequent_indent=" " * indent, break_on_hyphens=False)


def _groups(*, _root_: DictConfig) -> str:
    loader = GlobalHydra.instance().config_loader()
    chosen = OmegaConf.to_container(_root_.hydra.runtime.choices)
    listed = {group: _options(loader, group) for group in loader.list_groups("") if group != "hydra"}
    options = {group: found for group, found in listed.items() if found}
    return _for_a_template(groups_text(options, phrases(_text_of("train")), chosen))  # type: ignore[arg-type]


def _options(loader: ConfigLoader, group: str) -> list[str]:
    """The options of a group, and those in the folders inside it."""
    folders = loader.list_groups(group)
    inside = (f"{name}/{option}" for name in folders for option in loader.get_group_options(f"{group}/{name}"))
    return sorted([*loader.get_group_options(group), *inside])


def _typed(key: str, *, _root_: DictConfig) -> str:
    """A text of the config in which commands are as they are typed here."""
    text = str(OmegaConf.select(_root_, key))
    return re.sub(r"python src/(\w+)\.py", lambda found: command(found[1]), text)


def _own_keys(command: str, *, _root_: DictConfig) -> str:
    """Keys with a heading; nothing for a command that has no key of its own."""
    about = described_keys(_text_of(command))
    lines = [_key(f"{key}={as_typed(OmegaConf.select(_root_, key))}", comment) for key, comment in about.items()]
    return _for_a_template("\n".join(["Keys (KEY=VALUE):", "", *lines, ""]) if about else "")


def _text_of(name: str) -> str:
    sources = GlobalHydra.instance().config_loader().get_sources()
    files = (Path(source.path) / f"{name}.yaml" for source in sources if source.provider in ("main", "gradvitals"))
    return next(file for file in files if file.is_file()).read_text(encoding="utf-8")


def _for_a_template(text: str) -> str:
    """Hydra puts the rest into ``string.Template``."""
    return text.replace("$", "$$")
