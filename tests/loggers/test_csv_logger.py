"""metrics.csv: what was logged before a resume stays, what comes again goes, and nothing is torn."""

import csv
from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger

from gradvitals.build import build
from gradvitals.loggers.csv_file import rows_before
from gradvitals.loggers.csv_logger import write_whole


def csv_logger(spec, step):
    logger = build(spec, CSVLogger)
    write_whole(logger, step)
    return logger


def spec(folder: Path) -> dict:
    return {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": str(folder), "name": "", "version": ""}


def logged(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as lines:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(lines)]


def test_a_resumed_file_goes_on(tmp_path):
    first = csv_logger(spec(tmp_path), None)
    for step in range(4):
        first.log_metrics({"loss": step}, step)
    first.save()
    second = csv_logger(spec(tmp_path), 2)
    assert [row["step"] for row in logged(tmp_path)] == ["0", "1"]
    second.log_metrics({"loss": 7}, 2)
    second.save()
    second.log_metrics({"acc": 0.5}, 2)  # a new column
    second.save()
    two = [{"loss": "7", "step": "2"}, {"acc": "0.5", "step": "2"}]
    assert logged(tmp_path) == [{"loss": "0", "step": "0"}, {"loss": "1", "step": "1"}, *two]
    assert not list(tmp_path.glob("metrics.csv.*"))


def test_killed_before_the_rows_were_back_in_place(tmp_path):
    (tmp_path / "metrics.csv.before").write_text("loss,step\n1,0\n2,1\n")
    csv_logger(spec(tmp_path), 1)
    assert logged(tmp_path) == [{"loss": "1", "step": "0"}]


def test_a_torn_row_is_none(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text("loss,step\n1,0\n2,11")  # of 119
    assert [row["step"] for row in rows_before(file, 100)] == ["0"]
    assert rows_before(tmp_path / "none.csv", 100) == []


def test_what_fails_is_tried_again(tmp_path, monkeypatch):
    logger = csv_logger(spec(tmp_path), None)
    logger.log_metrics({"loss": 0.5}, 0)
    logger.save()
    logger.log_metrics({"acc": 1}, 1)
    monkeypatch.setattr("gradvitals.loggers.csv_file.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        logger.save()
    monkeypatch.undo()
    logger.log_metrics({"acc": 2}, 2)
    logger.save()
    assert logged(tmp_path) == [{"loss": "0.5", "step": "0"}, {"acc": "1", "step": "1"}, {"acc": "2", "step": "2"}]


def full(*_) -> None:
    raise OSError(28, "No space left on device")
