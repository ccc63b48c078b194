"""The end of a process group."""

from __future__ import annotations

import torch.distributed as dist


def destroy() -> None:
    """Ends the group when all processes are ready.

    Without it, a process may end while the threads of its group still run, and is then aborted now and then.
    """
    dist.barrier()
    dist.destroy_process_group()
