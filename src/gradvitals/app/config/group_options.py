"""Lets Hydra list the options of groups without copying its whole repository of configs for each list.

``--help`` asks for a hundred lists and shell completion for thirty; the copies take most of their time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.object_type import ObjectType


@contextmanager
def quick_group_options() -> Iterator[None]:
    """Inside, all lists for one config and the same overrides share a single copy of the repository."""

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
        found = repository(self, config_name, tuple(overrides or ()))
        return found.get_group_options(group_name, results_filter)

    with patch.object(ConfigLoaderImpl, "get_group_options", options):
        yield
