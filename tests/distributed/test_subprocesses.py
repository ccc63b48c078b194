"""A process ends its part of the group with the job, whoever started it."""

from __future__ import annotations

import pytest
import torch.distributed as dist

from gradvitals.app.processes.subprocesses import job_subprocesses


@pytest.mark.parametrize("started", [True, False])
def test_a_job_leaves_no_process_group(started, monkeypatch):
    """Its threads would still run when the process ends, which aborts it now and then.

    No group is made here: its threads would stay in this process, in which other tests fork.
    """
    if started:
        monkeypatch.setenv("LOCAL_RANK", "0")
    else:
        monkeypatch.delenv("LOCAL_RANK", raising=False)
    ended = []
    monkeypatch.setattr(dist, "is_initialized", lambda: not ended)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: ended.append(True))
    with job_subprocesses(None, None):
        assert not ended
    assert ended
