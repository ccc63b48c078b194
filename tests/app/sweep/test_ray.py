"""A sweep on a cluster of Ray's that runs already, one of whose workers is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.app.sweep.test_sweeps import begun, rows, statuses
from tests.conftest import ROOT
from tests.faults.test_interruption import curves

IS_THERE = importlib.util.find_spec("ray") is not None
pytestmark = pytest.mark.skipif(not IS_THERE, reason='Ray is not installed: pip install ".[ray]"')

JOBS = 8
SWEEP = ["-m", "hydra/launcher=ray", f"seed={','.join(map(str, range(JOBS)))}", "report=false"]
SWEEP += ["trainer.max_epochs=4", "callbacks.last.every_n_steps=5", "hydra.launcher.ray.init.address=auto"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment of a cluster of two workers, started elsewhere than the sweep is, and stopped in every case."""
    home, temp = tmp_path_factory.mktemp("home"), Path(tempfile.mkdtemp(prefix="ray"))  # a socket's path must be short
    env = {**os.environ, "HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(temp)}
    program = str(Path(sys.executable).with_name("ray"))
    call = [program, "start", "--head", "--block", "--port=0", "--num-cpus=2", "--include-dashboard=false"]
    with (home / "ray.txt").open("w") as out:
        head = subprocess.Popen(call, cwd=home, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        while not list(temp.glob("**/ray_current_cluster")):
            assert head.poll() is None, (home / "ray.txt").read_text()
            time.sleep(0.1)
        yield env
    finally:
        head.terminate()
        head.wait(timeout=60)
        shutil.rmtree(temp, ignore_errors=True)


def kill_a_worker(sweep: subprocess.Popen, sweep_dir: Path) -> Path:
    """Kill, with kill -9, the process that trains a job of which there is a checkpoint; returns the job's directory."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and sweep.poll() is None:
        for log in sweep_dir.glob("*/train.log"):
            if list(log.parent.glob("checkpoints/last*.ckpt")) and not (log.parent / "result.json").exists():
                for pid in workers_at(log):
                    os.kill(pid, signal.SIGKILL)
                    if not (log.parent / "result.json").exists():
                        return log.parent
        time.sleep(0.01)
    sweep.kill()  # it would run beside the next test, and its open pipe would raise a warning there
    raise AssertionError(f"no job was seen at work: {sweep.communicate(timeout=60)[0]}")


def workers_at(file: Path) -> list[int]:
    """Ray's processes that have a file open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is gone
            if (process / "cmdline").read_bytes().startswith(b"ray::_run_job"):
                found += [int(process.name) for link in (process / "fd").iterdir() if os.readlink(link) == str(file)]
    return found


def test_eight_jobs_of_which_one_is_killed(cluster, tmp_path):
    call = [sys.executable, str(ROOT / "src/train.py"), *SWEEP]
    process, sweep_dir = begun(call, tmp_path, cluster)
    killed = kill_a_worker(process, sweep_dir)
    said, _ = process.communicate(timeout=150)
    assert process.returncode == 0, said
    assert statuses(sweep_dir) == Counter(completed=JOBS)
    assert [row["ended"] for row in rows(sweep_dir)] == [str(JOBS)]
    assert "sweep.html" in said
    others = [folder for folder in sweep_dir.glob("[0-9]*") if folder != killed]
    steps = {tag: [step for step, _ in points] for tag, points in curves(killed).items()}
    assert steps == {tag: [step for step, _ in points] for tag, points in curves(others[0]).items()}
    _, again = sorted(killed.glob("events.out.tfevents.*"), key=lambda file: file.stat().st_ctime)[:2]
    assert all(step > 0 for points in curves(again).values() for step, _ in points)  # not from the start
    assert json.loads((killed / "result.json").read_text())["epochs"] == 4
