"""Lets Hydra share what it has read and composed, among the jobs of a sweep and among the lists of a command.

By itself it takes a tenth of a second for each job, and copies its whole repository of configs for each list of the
options of a group: ``--help`` asks for a hundred lists and shell completion for thirty.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import compress
from typing import Any
from unittest.mock import patch

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

OF_A_JOB = ("hydra.sweep.subdir", "hydra.sweeper.trial")  # keys of Hydra that a sweeper sets for each job


@contextmanager
def shared_composition() -> Iterator[None]:
    """Inside, each config file is read once, and jobs that differ in values only are composed once.

    What was composed is kept pickled: a copy by pickle takes a seventh of ``copy.deepcopy``.
    """
    read, compose = ConfigRepository.load_config, ConfigLoaderImpl.load_sweep_config
    known: dict[Hashable, bytes] = {}

    def copied(key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in known and (made := make()) is not None:  # a file that is missing may be written later
            known[key] = pickle.dumps(made)
        return pickle.loads(known[key]) if key in known else None

    def load_config(self: ConfigRepository, config_path: str) -> ConfigResult | None:
        sources = tuple((source.scheme(), source.path) for source in self.sources)
        return copied((sources, config_path), lambda: read(self, config_path))

    def load_sweep_config(self: ConfigLoaderImpl, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        name, given = master_config.hydra.job.config_name, list(master_config.hydra.overrides.hydra)
        groups = self.get_group_options("", ObjectType.GROUP, name, given)
        typed = OverridesParser.create().parse_overrides(sweep_overrides)
        is_value = [_only_sets_a_value(override, groups) for override in typed]
        values = list(compress(typed, is_value))
        others = [word for word, alone in zip(sweep_overrides, is_value, strict=True) if not alone]
        config = copied((self, name, *given, "", *others), lambda: compose(self, master_config, others))
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        self._apply_overrides_to_config(values, config)
        _name_overrides(config, given, typed)
        return config

    with (
        patch.object(ConfigRepository, "load_config", load_config),
        patch.object(ConfigLoaderImpl, "load_sweep_config", load_sweep_config),
        _lists_of_one_copy(),
    ):
        yield


def _lists_of_one_copy() -> AbstractContextManager[Any]:
    """A context in which all lists of options for one config and the same overrides share a copy of the repository."""

    @cache
    def repository(loader: ConfigLoaderImpl, config_name: str | None, overrides: tuple[str, ...]) -> Any:
        return loader._parse_overrides_and_create_caching_repo(config_name, list(overrides))[1]

    def options(
        self: ConfigLoaderImpl,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: Sequence[str] | None = None,
    ) -> list[str]:
        return repository(self, config_name, tuple(overrides or ())).get_group_options(group_name, results_filter)

    return patch.object(ConfigLoaderImpl, "get_group_options", options)


def _only_sets_a_value(override: Override, groups: Collection[str]) -> bool:
    """Whether an override changes a value of the config that the others compose, and nothing of a group."""
    key = override.key_or_group
    if key.startswith("hydra") or override.is_sweep_override():
        return key in OF_A_JOB
    return key not in groups and override.package is None and "/" not in key


def _name_overrides(config: DictConfig, given: Sequence[str], typed: Sequence[Override]) -> None:
    """Lists all overrides of a job in its config, as Hydra does at the end of a composition."""
    own = [override for override in typed if not override.is_hydra_override()]
    hydra, naming = config.hydra, config.hydra.job.config.override_dirname
    hydra.overrides.task = [override.input_line for override in own]
    hydra.overrides.hydra = [*given, *(override.input_line for override in typed if override.is_hydra_override())]
    hydra.job.override_dirname = get_overrides_dirname(own, naming.exclude_keys, naming.item_sep, naming.kv_sep)
