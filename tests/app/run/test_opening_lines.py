"""What a run prints before it trains."""

import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gradvitals.app.config.overrides import Overrides
from gradvitals.app.run.job import Job, SweepContext
from gradvitals.app.run.opening_lines import announce_run, show_config
from tests.conftest import composed

ALONE = Job(Path("logs/x"), Overrides())
OF_A_SWEEP = Job(Path("logs/x/0"), Overrides(), SweepContext(Path("logs/x"), {}))


@pytest.fixture(params=[True, False], ids=["terminal", "pipe"])
def is_terminal(request, monkeypatch, capsys):
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: request.param)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return request.param


def test_a_terminal_gets_the_line_at_once_and_a_log_when_the_run_begins(is_terminal, capsys):
    for begun in (False, True):
        announce_run(ALONE, begun)
        assert capsys.readouterr() == ("", "run          logs/x\n" if is_terminal is not begun else "")


@pytest.mark.usefixtures("is_terminal")
def test_jobs_of_a_sweep_and_other_processes_print_nothing(capsys, monkeypatch):
    config = composed("print_config=true")
    for begun in (False, True):
        announce_run(OF_A_SWEEP, begun)
    show_config(OF_A_SWEEP, config)  # it is not typed, but comes from a file
    monkeypatch.setenv("LOCAL_RANK", "1")
    for begun in (False, True):
        announce_run(ALONE, begun)
    show_config(ALONE, config)
    assert capsys.readouterr() == ("", "")


def test_the_config_is_printed_resolved_and_in_color(is_terminal, capsys):
    config = composed("act=elu", "print_config=true")
    show_config(ALONE, config)
    out, err = capsys.readouterr()
    assert err == ""
    assert ("\x1b[" in out) is is_terminal
    if not is_terminal:
        assert OmegaConf.to_container(OmegaConf.create(out)) == config.values
        assert "${" not in out


def test_it_is_printed_if_it_is_asked_for(is_terminal, capsys):
    show_config(ALONE, composed())
    assert capsys.readouterr() == ("", "")
    typed = Job(OF_A_SWEEP.run_dir, Overrides(["print_config=true"]), OF_A_SWEEP.sweep)
    show_config(typed, composed("print_config=true"))
    assert "print_config" in capsys.readouterr().out


def test_a_command_prints_it_before_it_trains(command, tmp_path):
    done = command("print_config=true", "act=elu", "trainer.max_epochs=1", "logger=none", "report=false")
    assert done.returncode == 0, done.stderr
    config, _, summary = done.stdout.partition("completed ")
    assert OmegaConf.create(config).act.name == "elu"
    assert summary
    (run,) = tmp_path.glob("logs/train/runs/*")
    assert "print_config" not in run.name
