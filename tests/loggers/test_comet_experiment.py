"""Experiments of Comet: our calls always; what Comet writes offline, where comet_ml is installed."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from gradvitals.loggers.open_loggers import close_loggers, open_loggers
from gradvitals.loggers.publish import publish, publish_picture, publish_text
from tests.conftest import ROOT
from tests.faults.test_supply import watched
from tests.loggers.test_mlflow_run import png


class Keeps:
    """With the signatures of Comet's experiments."""

    def __init__(self):
        self.got = []

    def log_metrics(self, dic, prefix=None, step=None, epoch=None, include_context=True):
        self.got.append((dic, prefix, step))

    def log_text(self, text, step=None, metadata=None):
        self.got.append((text, step, metadata))

    def log_image(self, image_data, name=None, overwrite=False, image_format="png", *more, step=None):
        self.got.append((image_data.size, name, step))


Experiment = type("CometExperiment", (Keeps,), {"__module__": "comet_ml.experiment"})


def write(logger) -> None:
    loggers = open_loggers(logger=logger)
    for step in (0, 50):
        publish(loggers, {"grad_norm/total": step + 0.5}, step)
    publish_text(loggers, "vitals/verdict", "vanishing", 50)
    publish_picture(loggers, "vitals/gradient_by_layer", png(), 50)
    close_loggers(loggers)


def messages(folder: Path, kind: str) -> list[dict]:
    """What the archive contains that ``comet upload`` would send."""
    (file,) = folder.glob("*.zip")
    lines = ZipFile(file).read("messages.json").decode().splitlines()
    return [line["payload"] for line in map(json.loads, lines) if line["type"] == kind]


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    found = [line["metric"] for line in messages(folder, "metric_msg")]
    return [(point["step"], point["metricValue"]) for point in found if point["metricName"] == tag]


def test_an_experiment_gets_numbers_texts_and_pictures():
    experiment = Experiment()
    write(experiment)
    assert experiment.got == [
        ({"grad_norm/total": 0.5}, None, 0),
        ({"grad_norm/total": 50.5}, None, 50),
        ("vanishing", 50, {"tag": "vitals/verdict"}),
        ((3, 2), "vitals/gradient_by_layer", 50),
    ]


def test_what_comet_writes_offline(tmp_path):
    comet_ml = pytest.importorskip("comet_ml")
    quiet = {"log_code": False, "log_env_details": False, "display_summary_level": 0}
    experiment = comet_ml.OfflineExperiment(project_name="gradvitals", offline_directory=str(tmp_path), **quiet)
    write(experiment)
    experiment.end()
    assert curve(tmp_path, "grad_norm/total") == [(0, 0.5), (50, 50.5)]
    kinds = [line["upload_type"] for line in messages(tmp_path, "file_upload")]
    assert sorted(kinds) == ["text-sample", "visualization"]


def test_runs_of_a_sweep_leave_an_archive_each_and_ask_no_other_machine(tmp_path):
    pytest.importorskip("comet_ml")
    words = ["-m", "logger=comet", "seed=0,1", "trainer.max_epochs=1", "trainer=cpu", "hydra.sweep.dir=sweep"]
    done = watched(tmp_path, (f"{ROOT}/src/train.py", *words))
    assert done.returncode == 0, done.stderr
    for folder in (tmp_path / "sweep").glob("*/comet"):
        assert len(curve(folder, "grad_norm/total")) >= 10
    assert len(list((tmp_path / "sweep").glob("*/comet/*.zip"))) == 2
