"""A process that a launcher started ends its part of the group with the job."""

from __future__ import annotations

import pytest
import torch.distributed as dist

from gradvitals.app.processes.subprocesses import job_subprocesses


@pytest.mark.parametrize("started", [True, False])
def test_a_job_leaves_no_process_group(started, monkeypatch, tmp_path):
    """Its threads would still run when the process ends, which aborts it now and then."""
    if started:
        monkeypatch.setenv("LOCAL_RANK", "0")
    else:
        monkeypatch.delenv("LOCAL_RANK", raising=False)
    with job_subprocesses(None, None):
        dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    assert not dist.is_initialized()
