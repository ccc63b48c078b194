"""What loggers are given, and TensorBoard's event files."""

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace

import pytest
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from gradvitals import GradientVitals
from gradvitals.loggers import tensorboard
from gradvitals.loggers.publish import publish
from gradvitals.loggers.tensorboard import _Appended, speed_up, write_at_once
from tests.loggers.gathers import Gathers
from tests.monitor.small_fit import Model, fit


def test_every_logger_gets_the_numbers_and_tensorboard_the_histograms(tmp_path):
    own, csv = Gathers(), CSVLogger(tmp_path / "csv", name="", version="")
    board = TensorBoardLogger(tmp_path / "board", name="", version="")
    monitor = GradientVitals(every_n_steps=5, first_steps=0, histograms=True)
    fit(Model(), monitor, logger=[own, csv, board], log_every_n_steps=1)
    mine = [(step, metrics) for step, metrics in own.got if "grad_norm/total" in metrics]
    assert [step for step, _ in mine] == [0, 5, 10]
    assert mine[-1][1]["update_ratio/01.net.2"] == monitor.end["update_ratio/01.net.2"]
    csv.save()
    assert "grad_norm_corrected/00.net.0" in (tmp_path / "csv/metrics.csv").read_text()
    events = EventAccumulator(str(tmp_path / "board"), size_guidance={"histograms": 0})
    events.Reload()
    found = events.Histograms("grad/00.net.0")
    assert [event.step for event in found] == [0, 5, 10]
    assert found[0].histogram_value.num == 24


def test_checksums_by_the_library_are_tensorboards(tmp_path):
    # TensorBoard's reader refuses a record whose checksum is wrong.
    writer = SummaryWriter(str(tmp_path))
    speed_up(writer._get_file_writer())
    assert "write" in vars(writer.file_writer.event_writer._async_writer._writer)
    for step in range(3):
        writer.add_scalar("a", step / 3, step)
    writer.close()
    (file,) = tmp_path.glob("events*")
    found = [event for event in EventFileLoader(str(file)).Load() if event.summary.value]
    assert [event.step for event in found] == [0, 1, 2]
    speed_up(SimpleNamespace())  # one that is built otherwise stays as it is


def test_records_are_in_the_file_at_once(tmp_path, monkeypatch):
    writer = SummaryWriter(str(tmp_path))
    write_at_once(writer._get_file_writer())
    queue = writer.file_writer.event_writer._async_writer._byte_queue
    monkeypatch.setattr(queue, "put", None)  # there is nothing for its thread
    speed_up(writer._get_file_writer())
    (file,) = tmp_path.glob("events*")
    for step in range(3):
        writer.add_scalar("a", step / 3, step)
        found = [event.step for event in EventFileLoader(str(file)).Load() if event.summary.value]
        assert found == list(range(step + 1))
    monkeypatch.undo()
    writer.close()
    write_at_once(SimpleNamespace())  # one that is built otherwise stays as it is


def test_records_of_several_threads_are_whole(tmp_path):
    writer = SummaryWriter(str(tmp_path))
    write_at_once(writer._get_file_writer())

    def log(step):
        writer.add_scalar("a", 0.5, step)
        if step % 7 == 0:
            writer.flush()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(log, range(400)))
    writer.close()
    (file,) = tmp_path.glob("events*")
    assert {event.step for event in EventFileLoader(str(file)).Load() if event.summary.value} == set(range(400))


def test_a_file_that_vanishes_is_seen_at_the_next_record_after_a_flush(tmp_path):
    appended = _Appended(str(tmp_path / "runs" / "events"))
    (tmp_path / "runs").mkdir()
    appended.write(b"first")
    appended.flush()
    appended.write(b", second")
    assert (tmp_path / "runs" / "events").read_bytes() == b"first, second"
    appended.close()
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        appended.write(b"third")


def test_a_record_that_is_not_written_whole_is_an_error(tmp_path):
    resource = pytest.importorskip("resource")  # not on Windows
    file = tmp_path / "events"
    file.touch()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with closing(_Appended(str(file))) as appended, pytest.raises(OSError, match="No space left"):
            appended.write(b"a record of twenty-two")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_without_the_library_tensorboard_computes_its_own_checksums(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)  # its import fails
    tensorboard._library.cache_clear()
    try:
        writer = SummaryWriter(str(tmp_path))
        publish([writer], {"a": 0.5}, 3)
        assert "write" not in vars(writer.file_writer.event_writer._async_writer._writer)
        writer.close()
    finally:
        tensorboard._library.cache_clear()
    (file,) = tmp_path.glob("events*")
    assert [event.step for event in EventFileLoader(str(file)).Load() if event.summary.value] == [3]


def test_one_logger_that_fails_does_not_silence_the_others(caplog):
    own, broken = Gathers(), Gathers()

    def fails(metrics, step=None):
        if "grad_norm/total" in metrics:
            raise ConnectionError("no route to host")

    broken.log_metrics = fails
    fit(Model(), GradientVitals(every_n_steps=5, first_steps=0), logger=[broken, own], log_every_n_steps=1)
    assert [step for step, metrics in own.got if "grad_norm/total" in metrics] == [0, 5, 10]
    told = [message for message in caplog.messages if "no route to host" in message]
    assert told == ["cannot write to Gathers: ConnectionError: no route to host. It is off; training continues"]


def test_event_files_stay_bounded(tmp_path):
    """Bytes of one event of a net of 1,000 layers; of a run that logs 1,000 times, as many kilobytes."""
    sizes = {}
    for most in (128, None):
        directory = tmp_path / str(most)
        logger = TensorBoardLogger(directory, name="", version="")
        model = Model(*[layer for _ in range(1000) for layer in (nn.Linear(4, 4, bias=False), nn.Tanh())])
        fit(model, GradientVitals(every_n_steps=1, max_layers=most), logger=logger, max_steps=2, max_epochs=1)
        (file,) = directory.glob("events*")
        sizes[most] = file.stat().st_size / 2
    assert sizes[128] == pytest.approx(41_000, rel=0.1)  # 1,000 events: 41 MB
    assert sizes[None] == pytest.approx(300_000, rel=0.1)  # 300 MB
