"""Loggers of a training loop: opened, switched off one by one where they fail, and closed."""

import builtins
import logging
import signal
import subprocess
import sys

import pytest
from torch.utils.tensorboard import SummaryWriter

from gradvitals.errors import ConfigError
from gradvitals.loggers.open_loggers import close_loggers, open_loggers
from gradvitals.loggers.publish import publish, publish_histograms, publish_layout, publish_picture, publish_text
from tests.loggers.gathers import Gathers
from tests.loggers.test_event_file import by_tensorboard


def test_nothing_asked_is_nothing_opened():
    assert open_loggers() == open_loggers(None, None) == open_loggers(None, []) == []


def test_each_gets_the_same_numbers(tmp_path):
    own, writer, seen = Gathers(), SummaryWriter(str(tmp_path / "given")), []
    given = [own, writer, tmp_path / "a.csv", lambda step, numbers: seen.append((step, numbers))]
    loggers = open_loggers(tmp_path / "opened", given)
    for step in (0, 50):
        publish(loggers, {"grad_norm/total": step + 0.5, "clip/coefficient": 1.0}, step)
    expected = [(step, {"grad_norm/total": step + 0.5, "clip/coefficient": 1.0}) for step in (0, 50)]
    assert own.got == seen == expected
    close_loggers(loggers)
    curves = {"grad_norm/total": [0.5, 50.5], "clip/coefficient": [1.0, 1.0]}
    assert by_tensorboard(tmp_path / "given") == by_tensorboard(tmp_path / "opened") == curves
    assert (tmp_path / "a.csv").read_text().split() == [
        "clip/coefficient,grad_norm/total,step",
        "1.0,0.5,0",
        "1.0,50.5,50",
    ]
    writer.add_scalar("still/open", 1.0, 51)
    writer.close()
    assert by_tensorboard(tmp_path / "given")["still/open"] == [1.0]


def test_what_is_closed_writes_no_more(tmp_path):
    seen = []
    loggers = open_loggers(tmp_path, lambda step, numbers: seen.append(step))
    publish(loggers, {"a": 1.0}, 0)
    for _ in range(2):
        close_loggers(loggers)
    publish(loggers, {"a": 1.0}, 1)
    assert seen == [0]
    assert by_tensorboard(tmp_path) == {"a": [1.0]}
    assert len(list(tmp_path.iterdir())) == 1


def test_loggers_without_texts_and_pictures_ignore_them(tmp_path, caplog):
    loggers = open_loggers(None, [Gathers(), tmp_path / "a.csv", lambda step, numbers: pytest.fail("no numbers")])
    publish_text(loggers, "vitals/verdict", "fine", 0)
    publish_picture(loggers, "vitals/gradient_by_layer", b"", 0)
    publish_histograms(loggers, {}, 0)
    publish_layout(loggers, {})
    close_loggers(loggers)
    assert not caplog.records


def test_one_that_fails_is_off_after_one_warning_and_the_others_go_on(caplog):
    seen, tried = [], []

    def fails(step, numbers):
        tried.append(step)
        raise ConnectionError("no route to host\nand much more")

    loggers = open_loggers(None, [fails, lambda step, numbers: seen.append(step)])
    for step in range(3):
        publish(loggers, {"a": 1.0}, step)
    close_loggers(loggers)
    assert (tried, seen) == ([0], [0, 1, 2])
    (record,) = caplog.records
    assert record.getMessage() == (
        "cannot write to fails: ConnectionError: no route to host. It is off; training continues"
    )


@pytest.mark.parametrize(
    "end", ["", "import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
)
def test_an_interpreter_that_ends_without_close_loses_no_event(end, tmp_path):
    code = (
        "import sys; from gradvitals.loggers.open_loggers import open_loggers; from gradvitals.loggers.publish import publish\n"
        "loggers = open_loggers(sys.argv[1])\n"
        f"for step in range(5): publish(loggers, {{'a': float(step)}}, step)\n{end}"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60, check=False, capture_output=True)
    assert done.returncode == (-signal.SIGKILL if "kill" in end else 0), done.stderr
    assert by_tensorboard(tmp_path) == {"a": [0.0, 1.0, 2.0, 3.0, 4.0]}


@pytest.mark.parametrize("below", ["file/runs", "file"])
def test_a_folder_that_cannot_be_written_is_one_warning(below, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    own = Gathers()
    loggers = open_loggers(tmp_path / below, own)
    publish(loggers, {"a": 1.0}, 0)
    assert own.got == [(0, {"a": 1.0})]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"cannot write to log_dir={tmp_path / below}: ")
    assert record.getMessage().endswith(" Training continues without it")


def test_a_folder_in_which_no_file_can_be_made(tmp_path, caplog, monkeypatch):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    assert open_loggers(tmp_path) == []
    assert caplog.messages == [f"cannot write to log_dir={tmp_path}: Permission denied. Training continues without it"]


def test_a_csv_file_that_cannot_be_written_is_one_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert open_loggers(None, tmp_path / "file/a.csv") == []
    (message,) = caplog.messages
    assert message.startswith(f"cannot write to {tmp_path}/file/a.csv: ")


def test_a_disk_that_is_full_ends_the_curves_in_one_warning(tmp_path, caplog):
    loggers = open_loggers(tmp_path)
    publish(loggers, {"a": 1.0}, 0)
    records = loggers[0]._destination.writer.file_writer.event_writer._async_writer._writer

    def full(_):
        raise OSError(28, "No space left on device")

    records._writer.write = full
    for step in range(1, 30):
        publish(loggers, {"a": 1.0}, step)
    close_loggers(loggers)
    assert caplog.messages == [
        f"cannot write to log_dir={tmp_path}: No space left on device. Its curves end here; training continues"
    ]
    assert by_tensorboard(tmp_path) == {"a": [1.0]}


def test_without_tensorboard_one_line_names_the_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ModuleNotFoundError("No module named 'tensorboard'", name="tensorboard")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError) as refused:
        open_loggers(tmp_path / "a")
    assert str(refused.value) == (
        f"log_dir={tmp_path}/a needs TensorBoard: No module named 'tensorboard'. "
        'Install it by pip install "gradvitals[tensorboard]"'
    )
    assert not (tmp_path / "a").exists()


def test_what_is_no_logger_is_refused_before_anything_is_opened(tmp_path):
    with pytest.raises(TypeError, match="logger: expected .* got 7"):
        open_loggers(tmp_path / "a", [print, 7])
    assert not (tmp_path / "a").exists()


def test_wandb_without_a_run_is_refused(monkeypatch):
    module = type(sys)("wandb")
    module.run = None
    monkeypatch.setitem(sys.modules, "wandb", module)
    with pytest.raises(ConfigError, match=r"logger=wandb: expected a run; wandb.init\(...\) was not called"):
        open_loggers(None, module)
