"""What the faults share: each test says how many it tried and how many were survived; the end of the run tells all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.table import KEY


@pytest.fixture
def tally(record_property) -> Callable[..., None]:
    """Put down a kind of fault: tried so many times, survived so many, and the bytes of checkpoints that were lost.

    Example: ``tally("malformed CSV", tried=200, survived=200, bytes_lost=0)``.
    """

    def put_down(kind: str, tried: int, survived: int, bytes_lost: int = 0) -> None:
        record_property(KEY, [kind, tried, survived, bytes_lost])
        assert survived == tried, f"{kind}: {survived} of {tried} survived"

    return put_down
