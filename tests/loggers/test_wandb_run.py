"""A run of W&B, offline: what it writes is read back from the file that would be uploaded."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradvitals.loggers.open_loggers import close_loggers, open_loggers
from gradvitals.loggers.publish import publish, publish_histograms, publish_picture, publish_text
from gradvitals.vitals import Histogram
from tests.loggers.test_mlflow_run import png

BLOCK, HEADER = 32768, struct.Struct("<IHB")  # of the file: checksum, length, kind of each chunk
WHOLE, LAST = 1, 4


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    for name, value in {"MODE": "offline", "SILENT": "true", "ERROR_REPORTING": "false", "DIR": str(tmp_path)}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    module = pytest.importorskip("wandb")
    yield module
    module.teardown()


def start(wandb: Any) -> Any:
    quiet = wandb.Settings(console="off", x_disable_stats=True, x_disable_meta=True)
    return wandb.init(project="gradvitals", settings=quiet)


def chunks(file: Path) -> Iterator[bytes]:
    data, at, record = file.read_bytes(), 7, b""
    while at + HEADER.size <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER.size:
            at += left
            continue
        _, length, kind = HEADER.unpack_from(data, at)
        at += HEADER.size
        record, at = record + data[at : at + length], at + length
        if kind in (WHOLE, LAST):
            yield record
            record = b""


def history(wandb: Any, folder: Path) -> list[dict[str, Any]]:
    """The rows of the run, without W&B's own columns; the file is whole when its process has ended."""
    wandb.teardown()
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    found = [Record.FromString(chunk) for chunk in chunks(file)]
    rows = [record.history.item for record in found if record.WhichOneof("record_type") == "history"]
    named = [{item.key or item.nested_key[0]: json.loads(item.value_json) for item in row} for row in rows]
    return [{key: value for key, value in row.items() if not key.startswith("_")} for row in named]


def curve(rows: list[dict[str, Any]], key: str, step: str = "gradvitals/step") -> list[tuple[int, float]]:
    return [(row[step], row[key]) for row in rows if key in row]


@pytest.mark.parametrize("with_step", [True, False])
@pytest.mark.parametrize("ours_first", [True, False])
def test_no_row_is_lost_however_the_user_logs(with_step, ours_first, wandb, tmp_path):
    run = start(wandb)
    loggers = open_loggers(None, wandb)
    for step in range(12):

        def ours(step=step):
            if step % 3 == 0:
                publish(loggers, {"grad_norm/total": step + 0.5}, step)
                publish_text(loggers, "vitals/verdict", "fine", step)

        def users(step=step):
            run.log({"loss": step / 2}, **({"step": step} if with_step else {}))

        for log in (ours, users) if ours_first else (users, ours):
            log()
    close_loggers(loggers)
    run.finish()
    rows = history(wandb, tmp_path)
    assert curve(rows, "grad_norm/total") == [(step, step + 0.5) for step in (0, 3, 6, 9)]
    assert [row["loss"] for row in rows if "loss" in row] == [step / 2 for step in range(12)]
    assert sum("vitals/verdict" in row for row in rows) == 4


def test_alone_with_texts_pictures_and_histograms(wandb, tmp_path):
    run = start(wandb)
    loggers = open_loggers(None, run)
    for step in (0, 50, 100):
        publish(loggers, {"grad_norm/total": float(step)}, step)
        publish_histograms(loggers, {"grad/00.net": Histogram([0.0, 1.0, 2.0], [3, step], 0)}, step)
    publish_picture(loggers, "vitals/gradient_by_layer", png(), 100)
    close_loggers(loggers)
    run.finish()
    rows = history(wandb, tmp_path)
    assert curve(rows, "grad_norm/total") == [(0, 0.0), (50, 50.0), (100, 100.0)]
    assert len(list(tmp_path.rglob("gradient_by_layer*.png"))) == 1
    assert sum("grad/00.net" in row for row in rows) == 3


def test_a_run_that_has_finished_is_one_warning(wandb, caplog):
    run = start(wandb)
    loggers = open_loggers(None, run)
    run.finish()
    for step in range(2):
        publish(loggers, {"grad_norm/total": 1.0}, step)
    (message,) = [record.getMessage() for record in caplog.records if record.name.startswith("gradvitals")]
    assert message.startswith("cannot write to Run: ")
    assert message.endswith("It is off; training continues")
