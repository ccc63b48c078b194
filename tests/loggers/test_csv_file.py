"""A CSV file: one row per step, new columns at any time, and whole rows whatever happens."""

import csv
import errno
import os
import resource
import signal
import subprocess
import sys

import pytest

from gradvitals.errors import ConfigError
from gradvitals.loggers.csv_file import CsvFile


def rows(file):
    with file.open(newline="") as lines:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(lines)]


def test_one_row_per_step_and_columns_that_come_later(tmp_path):
    file = tmp_path / "made/a.csv"
    writer = CsvFile(file)
    writer.numbers({"grad_norm/total": 1.5}, 0)
    writer.numbers({"grad_norm/total": 2.5, "clip/coefficient": 0.5}, 50)
    writer.numbers({"grad_norm/total": 3.5}, 100)
    writer.numbers({"vitals/severity": 0}, 100)
    assert rows(file) == [
        {"step": 0, "grad_norm/total": 1.5},
        {"step": 50, "grad_norm/total": 2.5, "clip/coefficient": 0.5},
        {"step": 100, "grad_norm/total": 3.5, "vitals/severity": 0},
    ]
    assert os.listdir(file.parent) == ["a.csv"]


def test_a_row_is_appended_and_the_rest_not_written_again(tmp_path, monkeypatch):
    writer = CsvFile(tmp_path / "a.csv")
    writer.numbers({"a": 1}, 0)
    monkeypatch.setattr("gradvitals.loggers.csv_file.write_bytes", lambda *_: pytest.fail("written again"))
    for step in range(1, 5):
        writer.numbers({"a": step}, step)
    assert [row["step"] for row in rows(tmp_path / "a.csv")] == [0, 1, 2, 3, 4]


def test_a_second_run_replaces_the_steps_that_it_logs_again(tmp_path):
    file = tmp_path / "a.csv"
    first = CsvFile(file)
    for step in (0, 50, 100):
        first.numbers({"a": step}, step)
    with file.open("a") as torn:
        torn.write("7")
    resumed = CsvFile(file)
    resumed.numbers({"b": 7}, 50)
    resumed.numbers({"b": 8}, 60)
    assert rows(file) == [{"step": 0, "a": 0}, {"step": 50, "b": 7}, {"step": 60, "b": 8}]
    CsvFile(file).numbers({"c": 1}, 0)
    assert rows(file) == [{"step": 0, "c": 1}]


def test_a_file_that_is_not_ours_stays(tmp_path):
    file = tmp_path / "train.csv"
    file.write_text("age,label\n3,1\n")
    with pytest.raises(
        ConfigError, match=r"expected a new file, or one with a column 'step'; .*has \['age', 'label'\]"
    ):
        CsvFile(file)
    assert file.read_text() == "age,label\n3,1\n"


def test_a_kill_leaves_every_row_that_was_logged(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from gradvitals.loggers.csv_file import CsvFile\n"
        "writer = CsvFile(Path(sys.argv[1]))\n"
        "for step in range(5): writer.numbers({f'tag/{i}': step + i for i in range(3000)}, step)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    file = tmp_path / "a.csv"
    done = subprocess.run([sys.executable, "-c", code, str(file)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [len(row) for row in rows(file)] == [3001] * 5


def test_a_full_disk_leaves_whole_rows_and_the_next_one_is_written(tmp_path):
    file = tmp_path / "a.csv"
    writer = CsvFile(file)
    writer.numbers({"a": 0.0}, 0)
    size, (soft, hard) = file.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 3, hard))
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            writer.numbers({"a": 1.0}, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert rows(file) == [{"step": 0, "a": 0}]
    writer.numbers({"a": 2.0}, 2)
    assert rows(file) == [{"step": 0, "a": 0}, {"step": 2, "a": 2}]
