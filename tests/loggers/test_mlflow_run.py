"""The module mlflow, with a store of files."""

import io

import pytest

from gradvitals.loggers.open_loggers import close_loggers, open_loggers
from gradvitals.loggers.publish import publish, publish_picture, publish_text


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.setenv(name, "true")
    module = pytest.importorskip("mlflow")
    before = module.get_tracking_uri()
    module.set_tracking_uri((tmp_path / "store").as_uri())
    yield module
    module.end_run()
    module.set_tracking_uri(before)


def png() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (3, 2)).save(out, "png")
    return out.getvalue()


def test_numbers_texts_and_pictures(mlflow, tmp_path):
    with mlflow.start_run() as run:
        loggers = open_loggers(None, mlflow)
        for step in (0, 50):
            publish(loggers, {"grad_norm/00.net": step + 0.5} | {f"many/{i}": 1.0 for i in range(1200)}, step)
        publish_text(loggers, "vitals/verdict", "vanishing", 50)
        publish_picture(loggers, "vitals/gradient_by_layer", png(), 50)
        close_loggers(loggers)
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "grad_norm/00.net")
    assert [(point.step, point.value) for point in history] == [(0, 0.5), (50, 50.5)]
    (verdict,) = (tmp_path / "store").rglob("verdict.txt")
    assert verdict.read_text() == "step 50: vanishing\n"
    (picture,) = (tmp_path / "store").rglob("gradient_by_layer.png")
    assert picture.read_bytes()[16:24] == b"\0\0\0\3\0\0\0\2"
