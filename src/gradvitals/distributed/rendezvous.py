"""Whether all processes have come to the same place, asked without a collective call that would wait for ever."""

from __future__ import annotations

from datetime import timedelta

from torch.distributed.distributed_c10d import _get_default_store

from gradvitals.distributed.collectives import Collectives


def all_arrive(place: str, processes: Collectives, seconds: float) -> bool:
    """Waits until each process has called this function as often as this one; returns whether all came in time.

    Args:
        place: a name for the place, the same in each process.
        seconds: to wait at most.

    Example:
        >>> all_arrive("watch", Collectives(), 1.0)
        True
    """
    if processes.total == 1:
        return True
    store = _get_default_store()
    number = store.add(f"gradvitals/{place}/calls/{processes.rank}", 1)
    store.set(f"gradvitals/{place}/{number}/{processes.rank}", "here")
    try:
        everybody = [f"gradvitals/{place}/{number}/{rank}" for rank in range(processes.total)]
        store.wait(everybody, timedelta(seconds=seconds))
    except RuntimeError:  # torch's errors of a store, timeouts among them
        return False
    return True
