"""The first line of a command on a terminal, and where there is none."""

import os
import runpy
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pty = pytest.importorskip("pty", reason="a terminal of POSIX")
HEAVY = {"hydra", "omegaconf", "yaml", "torch", "lightning", "unittest.mock", "pandas", "numpy"}


def on_a_terminal(script: str, *words: str, cwd, **environment: str) -> tuple[str, list[str]]:
    """Stdout, which is a pipe, and the lines of stderr, which is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / script), *words],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while chunk := _read(ours):
        seen += chunk
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    return out.decode(), seen.decode().splitlines()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # its other end is closed
        return b""


# Each ends at once in an error, so that no torch is imported.
COMMANDS = {
    "train.py": ("modle=bn", "Hydra, torch and Lightning, to train"),
    "cure.py": ("modle=bn", "Hydra, torch and Lightning, to diagnose and cure"),
    "preflight.py": ("modle=bn", "Hydra, torch and Lightning, to look at one batch"),
    "eval.py": ("nowhere", "torch and Lightning, to test"),
    "predict.py": ("nowhere", "torch and Lightning, to predict"),
    "export.py": ("nowhere", "torch, to export"),
    "board.py": ("nowhere", "TensorBoard"),
}


@pytest.mark.parametrize("script", COMMANDS)
def test_it_comes_before_anything_heavy_is_imported(script, tmp_path):
    word, what = COMMANDS[script]
    out, lines = on_a_terminal(script, word, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    (first,) = (number for number, line in enumerate(lines) if line.startswith("loading "))
    assert lines[first] == f"loading      {what} ..."
    assert len(lines[first]) <= 80
    before = {line.rpartition("|")[2].strip() for line in lines[:first]}
    assert not before & HEAVY
    assert lines[-1].startswith("gradvitals: ")
    assert out == ""


def test_a_pipe_or_file_does_not_get_it(command):
    for script, (word, _) in COMMANDS.items():
        done = command(word, script=script)
        assert len(done.stderr.splitlines()) == 1
        assert "loading" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "words", [["--help"], ["--cfg", "job"], ["--cfg=job"], ["--info", "config"], ["-sc", "install=bash"]]
)
def test_what_only_shows_something_loads_nothing(words, tmp_path):
    out, lines = on_a_terminal("train.py", *words, cwd=tmp_path)
    assert lines == []
    assert out
    assert "loading " not in out


def test_a_process_that_another_one_starts_is_silent(tmp_path):
    _, lines = on_a_terminal("train.py", "modle=bn", cwd=tmp_path, LOCAL_RANK="1")
    assert [line.partition(":")[0] for line in lines] == ["gradvitals (process 1)"]


def test_a_worker_that_imports_the_script_is_silent(capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for script in COMMANDS:
        runpy.run_path(str(ROOT / "src" / script), run_name="__mp_main__")  # as the workers of multiprocessing do
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("script", ["train.py", "cure.py", "preflight.py"])
def test_the_run_is_named_before_torch_is_imported(script, tmp_path):
    """Each is refused only after its network was to be built, so that the line cannot come from its end."""
    refused = ("data=csv", "data.path=nope.csv", "data.target=x")
    _, lines = on_a_terminal(script, *refused, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    (first,) = (number for number, line in enumerate(lines) if line.startswith("run  "))
    assert lines[first].startswith(f"run          logs/{script[:-3]}/runs/data-csv_data.path-nope.csv_")
    assert not {line.rpartition("|")[2].strip() for line in lines[:first]} & {"torch", "lightning", "numpy"}
    assert "torch" in {line.rpartition("|")[2].strip() for line in lines[first:]}


def test_a_refusal_is_one_line_where_there_is_no_terminal(command):
    done = command("data=csv", "data.path=nope.csv", "data.target=x")
    assert done.stderr.startswith("gradvitals: data.path: expected")
    assert done.stderr.count("\n") == 1
