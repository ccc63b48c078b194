"""The closing lines of a run: at most 80 columns, and in color on a terminal alone."""

import io
import logging
from types import SimpleNamespace

import pytest

from gradvitals.app.commands.stages import show
from gradvitals.app.run.run_summary import colored, summary
from gradvitals.diagnosis.remedies import Remedy
from gradvitals.results.result import MetricSummary, Result
from gradvitals.results.status import Status


class Told(SimpleNamespace):
    def __str__(self):
        return f"{self.verdict} at step 50: " + "layer 0 receives nothing of it, " * 6


@pytest.fixture
def lines(tmp_path):
    found = Told(verdict="vanishing", findings=[])
    profiles = {0: [1.0, 1.0]}
    monitor = SimpleNamespace(diagnosis=found, seconds_saved=None, profiles=profiles, clipped_fraction=None)
    metrics = {f"val/a_metric_{i}": MetricSummary(0.5, 0.25) for i in range(5)}
    result = Result(Status.INTERRUPTED, metrics=metrics, steps=1, epochs=1, seconds=1.0)
    remedies = [Remedy(("act=elu", "init=auto"), "an activation " * 6, "Somebody")] * 2
    return summary(result, SimpleNamespace(monitor=monitor, model=None), remedies, tmp_path).splitlines()


def test_lines_are_narrow_and_continue_under_their_text(lines):
    paths = ("run ", "resume ", "report ")
    assert [line for line in lines if len(line) > 80 and not line.startswith(paths)] == []
    assert {line[:13].strip() for line in lines} == {
        *("interrupted", "metrics", "verdict", "profile", "run", "resume", "remedy", "")
    }
    text = " ".join("\n".join(lines).split())
    assert text.count("layer 0 receives nothing of it,") == 6
    assert "profile even: at step 0 layer 0 receives 1.0 times" in text
    assert all(f"val/a_metric_{i} 0.5 (best 0.25)" in "\n".join(lines) for i in range(5))  # never broken
    assert "python src/cure.py" in "\n".join(lines)


@pytest.mark.parametrize(
    ("verdict", "color"), [("healthy", 32), ("undecided", 33), ("not_learning", 31), ("vanishing", 31)]
)
def test_the_verdict_has_its_color(verdict, color):
    text = f"profile      even\nverdict      {verdict}: because"
    assert colored(text) == f"profile      even\nverdict      \x1b[{color}m{verdict}\x1b[0m: because"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "no_color", "has_color"), [(Terminal, "", 1), (Terminal, "1", 0), (io.StringIO, "", 0)]
)
def test_colors_are_for_terminals(monkeypatch, tmp_path, stream, no_color, has_color):
    monkeypatch.setenv("NO_COLOR", no_color)
    screen, file = logging.StreamHandler(stream()), logging.FileHandler(tmp_path / "a.log")
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [screen, file])
    monkeypatch.setattr(root, "level", logging.INFO)
    logging.getLogger("gradvitals.app.commands.stages").manager._clear_cache()
    show("verdict      healthy", SimpleNamespace(in_sweep=False))
    assert screen.stream.getvalue().count("\x1b[32m") == has_color
    assert screen.stream.getvalue().count("verdict") == 1
    assert (tmp_path / "a.log").read_text() == "verdict      healthy\n"
    file.close()
