"""Full, read-only and vanished disks: training goes on, or ends with one line; what was saved before stays whole."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gradvitals.checkpoints.verify import is_whole
from tests.faults import forked
from tests.faults.test_interruption import FIT, at_call, curves

STOP = "on_write_error=stop"


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 1.5 MB: what a run of three epochs writes is more."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "none", str(folder)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("mounting a small tmpfs takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def no_space(path: Any, what: str) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{path} {what}")


def saves_fail_from(number: int) -> Callable[[], None]:
    """From the ``number``-th checkpoint on, half of it is written, then the disk is full."""

    def put_in() -> None:
        write, calls = torch.save, [0]

        def save(checkpoint: Any, file: Any) -> None:
            calls[0] += 1
            write(checkpoint, file)
            if calls[0] >= number:
                file.truncate(file.tell() // 2)
                no_space(file.name, "save")

        torch.save = save

    return put_in


def files_end_at(size: int) -> Callable[[], None]:
    """The system refuses to make any file larger than this."""

    def put_in() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return put_in


def vanishes_at(step: int) -> Callable[[], None]:
    return at_call(step, torch, "_fused_adam_", lambda: shutil.rmtree("logs"))


def read_only_from(step: int) -> Callable[[], None]:
    """Everything that is opened for writing from then on is refused, as on a file system remounted read-only."""

    def refuse() -> None:
        real = Path.open

        def opens(self: Path, mode: str = "r", *args: Any, **settings: Any) -> Any:
            if set(mode) & set("wax+"):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
            return real(self, mode, *args, **settings)

        Path.open = opens

    return at_call(step, torch, "_fused_adam_", refuse)


def whole_checkpoints(run: Path) -> dict[str, bool]:
    return {path.name: is_whole(path) for path in sorted((run / "checkpoints").glob("*"))}


def lines(folder: Path, words: str) -> list[str]:
    return [line for line in forked.said(folder).splitlines() if words in line]


def test_checkpoints_that_cannot_be_written(tmp_path, tally):
    assert forked.run(tmp_path, *FIT, fault=saves_fail_from(9)) == 0, forked.said(tmp_path)
    run = forked.the_run(tmp_path)
    assert json.loads((run / "result.json").read_text())["status"] == "completed"
    assert whole_checkpoints(run) == {"best.ckpt": True, "last-1.ckpt": True, "last.ckpt": True}
    told = lines(tmp_path, "cannot write")
    assert len(told) == 2  # of the last ones once, of the best once
    assert "No space left on device. Training continues, by on_write_error=continue" in told[0]
    assert lines(tmp_path, "best.ckpt could not be written: the last weights are tested")
    assert max(step for step, _ in curves(run)["val/acc"]) == 119
    tally("disk full: checkpoints, going on", tried=1, survived=1)


def test_a_run_that_may_not_go_on_without_checkpoints(tmp_path, tally):
    assert forked.run(tmp_path, *FIT, STOP, fault=saves_fail_from(9)) == 1
    run = forked.the_run(tmp_path)
    (told,) = lines(tmp_path, "gradvitals: ")
    assert "No space left on device. Training ends, by on_write_error=stop" in told
    assert "Traceback" not in forked.said(tmp_path)
    assert all(whole_checkpoints(run).values())
    found = json.loads((run / "result.json").read_text())
    assert found["status"] == "failed"
    assert "No space left" in found["reason"]
    assert forked.run(tmp_path, "resume=latest") == 0, forked.said(tmp_path)
    tally("disk full: checkpoints, stopping", tried=1, survived=1)


def test_a_small_disk(small_disk, tally):
    for word in ("continue", "stop"):
        code = forked.run(small_disk, *FIT, f"on_write_error={word}")
        said = forked.said(small_disk)
        assert code == 1 or word == "continue", said
        assert "No space left on device" in said
        assert "Traceback" not in said, said
        run = forked.the_run(small_disk)
        saved = whole_checkpoints(run)
        assert saved
        assert all(saved.values()), saved
        shutil.rmtree(small_disk / "logs")
        (small_disk / "out.txt").unlink()
    tally("disk full: all files, a small tmpfs", tried=2, survived=2)


@pytest.mark.parametrize("size", [20_000, 60_000, 130_000, 400_000])
def test_files_that_may_grow_no_more(size, tmp_path, tally):
    code = forked.run(tmp_path, *FIT, fault=files_end_at(size))
    said = forked.said(tmp_path)
    assert "Traceback" not in said, said
    assert code in (0, 1)
    assert "File too large" in said
    runs = list(tmp_path.glob("logs/train/runs/*"))
    assert all(all(whole_checkpoints(run).values()) for run in runs)
    tally("files that may grow no more", tried=1, survived=1)


def test_a_directory_that_vanishes(tmp_path, tally):
    folders = {word: tmp_path / word for word in ("continue", "stop")}
    for word, folder in folders.items():
        folder.mkdir()
        code = forked.run(folder, *FIT, f"on_write_error={word}", fault=vanishes_at(50))
        assert "Traceback" not in forked.said(folder), forked.said(folder)
        assert lines(folder, "cannot write")
        assert code == (word == "stop")
    run = forked.the_run(folders["continue"])
    assert json.loads((run / "result.json").read_text())["status"] == "completed"
    assert all(whole_checkpoints(run).values())
    tally("log directory that vanishes", tried=2, survived=2)


def test_a_disk_that_becomes_read_only(tmp_path, tally):
    assert forked.run(tmp_path, *FIT, fault=read_only_from(50)) == 1
    said = forked.said(tmp_path)
    assert "Traceback" not in said, said
    assert lines(tmp_path, "cannot write the results to")
    assert "completed" in said  # the summary is printed all the same
    run = forked.the_run(tmp_path)
    assert all(whole_checkpoints(run).values())
    assert forked.run(tmp_path, f"resume={run}") == 0, forked.said(tmp_path)
    tally("disk that becomes read-only", tried=1, survived=1)


def test_a_log_directory_that_cannot_be_made(tmp_path, tally):
    (tmp_path / "logs").write_text("a file, where the folder should be")
    assert forked.run(tmp_path, *FIT) == 1
    (told,) = forked.said(tmp_path).splitlines()
    assert told.startswith("gradvitals: ")
    tally("log directory that cannot be made", tried=1, survived=1)


def test_the_newest_is_damaged(tmp_path, tally):
    words = [*FIT, "callbacks.last.keep=4"]
    fault = at_call(100, torch, "_fused_adam_", lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert forked.run(tmp_path, *words, fault=fault) == -signal.SIGKILL
    folder = forked.the_run(tmp_path) / "checkpoints"
    assert sorted(path.name for path in folder.glob("last*")) == [
        "last-1.ckpt",
        "last-2.ckpt",
        "last-3.ckpt",
        "last.ckpt",
    ]
    lost = sum((folder / name).stat().st_size for name in ("last.ckpt", "last-1.ckpt"))
    for name, damage in (("last.ckpt", lambda data: data[: len(data) // 2]), ("last-1.ckpt", flipped)):
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
    assert forked.run(tmp_path, "resume=latest") == 0, forked.said(tmp_path)
    (told,) = lines(tmp_path, "damaged")
    assert told == "gradvitals: damaged: last.ckpt, last-1.ckpt; resuming from last-2.ckpt"
    whole = tmp_path / "whole"
    whole.mkdir()
    assert forked.run(whole, *words) == 0
    a, b = (
        torch.load(at / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for at in (folder.parent, forked.the_run(whole))
    )
    assert all(torch.equal(a[name], b[name]) for name in b)
    tally("newest checkpoints damaged", tried=2, survived=2, bytes_lost=lost)


def test_all_are_damaged(tmp_path, tally):
    fault = at_call(50, torch, "_fused_adam_", lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert forked.run(tmp_path, *FIT, fault=fault) == -signal.SIGKILL
    for path in (forked.the_run(tmp_path) / "checkpoints").glob("last*"):
        path.write_bytes(b"torn")
    (tmp_path / "out.txt").unlink()
    assert forked.run(tmp_path, "resume=latest") == 1
    (told,) = forked.said(tmp_path).splitlines()
    assert "expected a whole checkpoint; all are damaged: last.ckpt, last-1.ckpt" in told
    tally("all checkpoints damaged", tried=1, survived=1)


def flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
