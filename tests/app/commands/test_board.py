"""``python src/board.py``: which runs TensorBoard is given, by which names, and which page its root leads to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from lightning.pytorch.loggers import TensorBoardLogger

from gradvitals.app.commands.board import MOST_PINS, pinned, pinning, runs_below
from gradvitals.loggers.publish import publish
from tests.conftest import ROOT

LAYERS = [f"activation_grad_norm/{i:02}.net" for i in range(3)]


def a_logged_run(folder: Path, *tags: str, age: float = 0) -> Path:
    """A run directory with one event of some numbers, that many seconds old."""
    logger = TensorBoardLogger(folder, name="", version="", default_hp_metric=False)
    publish([logger], dict.fromkeys([*LAYERS, *tags], 1.0), 1)
    logger.experiment.close()
    for file in folder.glob("events.*"):
        os.utime(file, (time.time() - age,) * 2)
    return folder


@contextmanager
def served(*words: str | Path) -> Iterator[str]:
    """The address of TensorBoard once it has read a run."""
    call = [sys.executable, str(ROOT / "src/board.py"), *map(str, words)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process, ended(process):
        address = address_of(process, r"at (http://\S+/)")
        deadline = time.monotonic() + 60
        while not runs_of(address):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield address


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Ends a server by SIGTERM when its test is over; kills one that does not end, and fails."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail("the server was still there 20 seconds after SIGTERM")


def address_of(process: subprocess.Popen[str], pattern: str) -> str:
    """The first match in what a server prints to stderr within a minute."""
    killer = threading.Timer(60, process.kill)  # closes the pipe
    killer.start()
    said = []
    try:
        for line in process.stderr or ():
            said.append(line)
            if found := re.search(pattern, line):
                return found[1]
    finally:
        killer.cancel()
    pytest.fail("no address of a server in a minute, but " + "".join(said))


def runs_of(address: str) -> list[str]:
    with urllib.request.urlopen(f"{address}data/runs", timeout=30) as answer:
        return sorted(json.loads(answer.read()))


def opened(address: str) -> list[str]:
    """The tags of the cards on the page that the root leads to."""
    with urllib.request.urlopen(address, timeout=30) as page:
        assert "<title>TensorBoard" in page.read().decode()
        (cards,) = parse_qs(urlsplit(page.url).query)["pinnedCards"]
    found = json.loads(cards)
    assert {card["plugin"] for card in found} == {"scalars"}
    return [card["tag"] for card in found]


def test_a_run_has_its_name_and_opens_on_its_losses_and_metrics(tmp_path):
    run = a_logged_run(tmp_path / "runs" / "model-bn_1129-163708", "train/loss", "val/loss", "val/r2", "test/r2")
    with served(run) as address:
        assert runs_of(address) == ["model-bn_1129-163708"]
        assert opened(address) == ["train/loss", "val/loss", "val/r2"]
    assert run.is_dir()  # and not only the link to it


def test_runs_in_a_folder_are_named_by_their_paths_and_later_ones_are_found(tmp_path):
    for name in "ab":
        a_logged_run(tmp_path / "train" / "runs" / name, "train_loss", "valid_f1")
    with served(tmp_path) as address:
        assert runs_of(address) == ["train/runs/a", "train/runs/b"]
        assert opened(address) == ["train/loss", "train_loss", "val/loss", "valid_f1"]
        a_logged_run(tmp_path / "train" / "runs" / "c")
        deadline = time.monotonic() + 60
        while "train/runs/c" not in runs_of(address):
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_of_many_runs_the_newest_are_shown(tmp_path):
    for age in (300, 100, 200):
        a_logged_run(tmp_path / f"runs/{age}", age=age)
    assert [run.name for run in runs_below([tmp_path])] == ["100", "200", "300"]
    with served(tmp_path / "runs", "--newest", "2") as address:
        assert runs_of(address) == ["100", "200"]


@pytest.fixture(autouse=True)
def heeded_interrupts():
    """Ctrl-C is ignored in what a shell starts in the background, and so it is in all processes below."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


SIGNALS = [signal.SIGINT, signal.SIGTERM]
# The server itself, and a signal while its main thread is in a callback, where Python ignores exceptions.
IN_A_CALLBACK = """
import os, runpy, weakref
from tensorboard import program

class Thing: pass

def serve_forever(server):
    thing = Thing()
    reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), int(os.environ["TEST_SIGNAL"])))
    del thing
    print("goes on")

program.WerkzeugServer.serve_forever = serve_forever
runpy.run_path(os.environ["TEST_SCRIPT"], run_name="__main__")
"""


def environment(temporary: Path, **more: str) -> dict[str, str]:
    temporary.mkdir()
    return os.environ | {"TMPDIR": str(temporary)} | more


@pytest.mark.parametrize("number", SIGNALS)
def test_no_callback_loses_the_signal_that_ends_it(tmp_path, number):
    run = a_logged_run(tmp_path / "runs" / "a")
    env = environment(tmp_path / "temporary", TEST_SIGNAL=str(int(number)), TEST_SCRIPT=str(ROOT / "src/board.py"))
    call = [sys.executable, "-c", IN_A_CALLBACK, str(run)]
    done = subprocess.run(call, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_it_loads_ends_it_and_removes_its_links(tmp_path, number):
    run = a_logged_run(tmp_path / "runs" / "a")
    temporary = tmp_path / "temporary"
    call = [sys.executable, str(ROOT / "src/board.py"), str(run)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(call, env=environment(temporary), text=True, **pipes) as process, ended(process):
        deadline = time.monotonic() + 60
        while not list(temporary.glob("board-*")):
            assert time.monotonic() < deadline
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert out == ""
    assert "Traceback" not in err
    assert process.returncode == 0
    assert list(temporary.iterdir()) == []
    assert list(run.iterdir())


def test_a_port_in_use_is_an_error(tmp_path):
    run = a_logged_run(tmp_path / "runs" / "a")
    with socket.create_server(("localhost", 0)) as other:
        call = [sys.executable, str(ROOT / "src/board.py"), str(run), f"--port={other.getsockname()[1]}"]
        done = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "already in use" in done.stderr


@pytest.mark.parametrize("folders", [[], ["nowhere"]])
def test_a_folder_without_events_is_one_line(command, folders):
    done = command(*folders, script="board.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"gradvitals: no TensorBoard events in {folders[0] if folders else 'logs'}: "
        "expected run directories, or folders that contain some\n"
    )


@pytest.mark.filterwarnings("ignore:html5lib.s sanitizer is deprecated")
def test_it_says_how_to_see_all(tmp_path, monkeypatch, capsys):
    from tensorboard import program

    from gradvitals.app.commands.board import serve

    for age in (300, 100, 200):
        a_logged_run(tmp_path / f"runs/{age}", age=age)
    shown = []
    monkeypatch.setattr(program.TensorBoard, "main", lambda board: shown.extend(Path(board.flags.logdir).iterdir()))
    serve([tmp_path / "runs"], 2, None)
    assert capsys.readouterr().out == "board        the newest 2 of 3 runs; --newest 3 shows all, slowly\n"
    assert sorted(run.name for run in shown) == ["100", "200"]
    assert not any(run.exists() for run in shown)  # the links are gone


def test_only_the_bare_root_leads_elsewhere():
    asked = []

    def app(environ, start):
        asked.append(environ["PATH_INFO"])
        start("200 OK", [("Content-Type", "application/json")])
        return [b'{"scalars": {"runTagInfo": {}}}']

    answers = []
    for path, query in (("/", ""), ("/", "tagFilter=a"), ("/index.js", "")):
        environ = {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": "GET"}
        list(pinning(app)(environ, lambda status, headers: answers.append((status, dict(headers).get("Location")))))
    assert [status for status, _ in answers] == ["302 Found", "200 OK", "200 OK"]
    assert "train%2Floss" in answers[0][1]  # TensorBoard draws it once there is one
    assert asked == ["/data/plugin/timeseries/tags", "/", "/index.js"]


def test_the_user_can_pin_some_more():
    assert len(pinned(f"val/metric_{i}" for i in range(100))) == MOST_PINS < 10
