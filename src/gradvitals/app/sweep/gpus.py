"""One GPU for each job of a sweep, where there are several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from gradvitals.app.files import user_lock


@contextmanager
def own_gpu(count: int, folder: Path | None = None) -> Iterator[int | None]:
    """Hold the first GPU that no other sweep's job of this user holds, until the block or the process ends.

    Args:
        count: of visible GPUs.
        folder: of the lock files; None: the machine's temporary one.

    Yields:
        Its index; None where all are held, or there is only one.

    Example:
        >>> with own_gpu(1) as index:
        ...     print(index)
        None
    """
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    for index in range(count) if count > 1 else ():
        name = visible[index] if index < len(visible) else str(index)
        lock = user_lock(f"gpu_{name}", folder)
        with suppress(Timeout):
            lock.acquire(blocking=False)
        if lock.is_locked:
            try:
                yield index
            finally:
                lock.release()
            return
    yield None
