"""What the log and other people's loggers are told of a verdict, where nobody opens TensorBoard."""

import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest
from lightning.pytorch.loggers import Logger, MLFlowLogger, WandbLogger
from torch import nn

from gradvitals import GradientVitals
from gradvitals.loggers.publish import publish_picture, publish_text
from gradvitals.monitor.announcer import Announcer
from gradvitals.report.pictures.canvas import png
from gradvitals.report.pictures.gradient_by_layer import gradient_by_layer
from tests.callbacks.test_verdict import Net, fit

INFO = GradientVitals.information.name


class Told(SimpleNamespace):
    """A diagnosis with a verdict and a reason."""

    advice = ""

    def __str__(self):
        return f"{self.verdict}: {self.reason}"


def told(verdict, advice=""):
    return Told(verdict=verdict, reason="because", advice=advice)


@pytest.fixture
def lines(caplog, monkeypatch):
    """Level and text of what is logged; Lightning's logger keeps its messages to itself."""
    monkeypatch.setattr(logging.getLogger("lightning.pytorch"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("lightning"), "propagate", True)
    caplog.set_level(logging.INFO)
    for name in ("lightning", "lightning.pytorch", INFO, "gradvitals"):  # other tests set them
        caplog.set_level(logging.INFO, logger=name)
    return lambda: [(r.levelname, r.getMessage()) for r in caplog.records if "gradvitals:" in r.getMessage()]


def test_a_verdict_is_warned_of_once_and_taken_back(lines):
    announcer = Announcer()
    for step, verdict in enumerate(("healthy", "stalled", "healthy", "stalled", "undecided", "not_learning")):
        announcer.change(told(verdict, "Raise it."), step)
    announcer.end(told("not_learning"), stopped=True)
    assert lines() == [
        ("WARNING", "gradvitals: stalled: because. Raise it."),
        ("INFO", "gradvitals: healthy again at step 2"),
        ("WARNING", "gradvitals: not_learning: because. Raise it."),
        (
            "INFO",
            "gradvitals: the verdict at the end of the fit: not_learning: because; auto_stop ended the fit",
        ),
    ]


def test_what_was_warned_of_before_a_resume_is_not_repeated(lines):
    Announcer("stalled").change(told("stalled"), 100)
    assert lines() == []


def test_a_fit_without_a_logger_warns_and_ends_with_one_line(lines):
    fit(Net(depth=12, act=nn.Sigmoid))
    (level, warning), (last, end) = lines()
    assert (level, last) == ("WARNING", "INFO")
    assert warning.startswith("gradvitals: vanishing at step ")
    assert end.startswith("gradvitals: the verdict at the end of the fit: vanishing at step ")


def test_a_command_of_this_project_says_it_itself(lines):
    monitor = GradientVitals()
    monitor.announces = False
    fit(Net(depth=12, act=nn.Sigmoid), monitor)
    assert lines() == []


def test_the_end_is_seen_under_pythons_default_logging():
    code = "from gradvitals import GradientVitals; GradientVitals().publish_verdict(1, is_final=True)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert "gradvitals: the verdict at the end of the fit: undecided: no step was measured" in done.stderr + done.stdout


class Wandb(WandbLogger):
    """With the signatures of Lightning's logger, and without the package."""

    def __init__(self):
        Logger.__init__(self)
        self.got = []

    def log_text(self, key, columns=None, data=None, dataframe=None, step=None):
        self.got.append((key, columns, data, step))

    def log_image(self, key, images, step=None, **kwargs):
        assert isinstance(images, list)
        self.got.append((key, images[0].size, step))


class Mlflow(MLFlowLogger):
    """Likewise; its experiment is MLflow's client."""

    run_id = "run"
    experiment = property(lambda self: self)

    def __init__(self):
        Logger.__init__(self)
        self.got = []

    def log_text(self, run_id, text, artifact_file):
        self.got.append((run_id, text, artifact_file))

    def log_image(self, run_id, image, artifact_file=None, key=None, step=None, timestamp=None, synchronous=None):
        self.got.append((run_id, image.size, artifact_file))


def test_wandb_and_mlflow_get_the_text_and_the_picture():
    wandb, mlflow = loggers = [Wandb(), Mlflow()]
    picture = png(gradient_by_layer({0: [0.1, 0.2]}), 100)
    publish_text(loggers, "vitals/verdict", "stalled", 50)
    publish_picture(loggers, "vitals/gradient_by_layer", picture, 50)
    assert wandb.got == [
        ("vitals/verdict", ["step", "text"], [["50", "stalled"]], 50),
        ("vitals/gradient_by_layer", (800, 480), 50),
    ]
    assert mlflow.got == [
        ("run", "step 50: stalled\n", "vitals/verdict.txt"),
        ("run", (800, 480), "vitals/gradient_by_layer.png"),
    ]


def test_an_undecided_verdict_has_no_severity(monkeypatch):
    from gradvitals import displayed_monitor as module

    logged = []
    monkeypatch.setattr(module, "publish", lambda loggers, numbers, step: logged.append(numbers))
    for severity in (None, 0.0, 0.5):
        found = Told(verdict="undecided", reason="", findings=(), severity=severity)
        monkeypatch.setattr(GradientVitals, "diagnosis", found)
        GradientVitals().publish_verdict(1, is_final=True)
    assert logged == [{"vitals/severity": 0.0}, {"vitals/severity": 0.5}]
