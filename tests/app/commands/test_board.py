"""``python src/board.py``: which runs TensorBoard is given, by which names, and which page its root leads to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from lightning.pytorch.loggers import TensorBoardLogger

from gradvitals.app.commands.board import MOST_PINS, pinned, pinning, runs_below
from gradvitals.loggers.tensorboard import publish
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
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = next(found[1] for line in process.stderr if (found := re.search(r"at (http://\S+/)", line)))
            deadline = time.monotonic() + 60
            while not runs_of(address):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def runs_of(address: str) -> list[str]:
    with urllib.request.urlopen(f"{address}data/runs") as answer:
        return sorted(json.loads(answer.read()))


def opened(address: str) -> list[str]:
    """The tags of the cards on the page that the root leads to."""
    with urllib.request.urlopen(address) as page:
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
