"""Refuses what the memory of this machine cannot hold, before any of it is allocated."""

from __future__ import annotations

import os

from gradvitals.errors import ConfigError


def check_memory(keys: str, what: str, takes: int) -> None:
    """Refuses more bytes than this machine has.

    Args:
        keys: the config keys that decide it, for the error.
        what: what takes the memory, for the error.
        takes: bytes.

    Raises:
        ConfigError: it does not fit.
    """
    try:
        has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # the system does not say
        return
    if takes > has:
        raise ConfigError(
            f"{keys}: expected {what} within the {has / 1e9:,.0f} GB of memory here; got {takes / 1e9:,.0f} GB"
        )
