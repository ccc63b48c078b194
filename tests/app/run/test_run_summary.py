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
    return summary(
        result,
        SimpleNamespace(monitor=monitor, model=None, trainer=SimpleNamespace(overfit_batches=0)),
        remedies,
        tmp_path,
    ).splitlines()


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


def closing(tmp_path, overfit_batches=0, chance=None, **result) -> str:
    """The closing lines of a run without a monitor, each on one line."""
    run = SimpleNamespace(
        monitor=None, model=None, chance=chance, trainer=SimpleNamespace(overfit_batches=overfit_batches)
    )
    known = {"steps": 200, "epochs": 200, "seconds": 1.0}
    return " ".join(summary(Result(Status.COMPLETED, **known | result), run, [], tmp_path).split())


@pytest.mark.parametrize(
    ("loss", "chance", "answer"),
    [
        (0.0003, 2.302, "overfit yes: train/loss is 0.0003 after 200 steps, and 2.302 by guessing"),
        (0.0, 1.02, "overfit yes: "),  # a regression
        (2.29, 2.302, "overfit no: train/loss is 2.29 after 200 steps, and 2.302 by guessing"),
        (0.4, 2.302, "overfit not yet: "),
        (None, 2.302, "overfit no: train/loss is not finite after 200 steps"),
        (0.1, None, "overfit train/loss is 0.1 after 200 steps; the network has memorized the samples if"),
    ],
)
def test_whether_the_batch_was_memorized(tmp_path, loss, chance, answer):
    metrics = {"train/loss": MetricSummary(loss, loss)}
    assert answer in closing(tmp_path, 1, chance, metrics=metrics)
    assert "overfit" not in closing(tmp_path, 0, chance, metrics=metrics)
    assert "overfit" not in closing(tmp_path, 1, chance)  # a module that logs another name


@pytest.mark.parametrize(("rows", "words"), [("train", "the training rows"), ("val", "the validation rows")])
def test_metrics_of_rows_that_are_no_test_rows_say_so(tmp_path, rows, words):
    assert f"tested on {words}: these data have no test rows of their own" in closing(tmp_path, tested_on=rows)
    assert "tested on" not in closing(tmp_path, tested_on="test")


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
