import json
import math

import pytest
import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.callbacks import gradient_picture
from gradvitals.callbacks.gradient_picture import GradientPicture
from gradvitals.callbacks.gradient_vitals import GradientVitals
from gradvitals.classifier import Classifier


def fit(*callbacks, **options) -> None:
    """Two steps an epoch."""
    data = DataLoader(TensorDataset(torch.randn(32, 4), torch.arange(32) % 3), batch_size=16)
    trainer = Trainer(
        **{"max_epochs": 1, "logger": False} | options, accelerator="cpu", callbacks=list(callbacks),
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Classifier({"_target_": "gradvitals.nets.mlp.MLP"}, 4, 3), data, data)


def test_without_a_path_it_lies_in_the_trainers_folder(tmp_path):
    fit(GradientVitals(), GradientPicture(), default_root_dir=tmp_path)
    assert (tmp_path / "gradient_by_layer.png").read_bytes().startswith(b"\x89PNG")


def shown_at(folder, picture) -> dict[str, list[int]]:
    """The steps that TensorBoard's sliders have after nine epochs."""
    fit(GradientVitals(), picture, logger=TensorBoardLogger(folder, name="", version=""), max_epochs=9)
    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    return {tag: [event.step for event in events.Images(tag)] for tag in events.Tags()["images"]}


@pytest.mark.parametrize(
    ("share", "steps"),
    [(math.inf, [2, 4, 8, 16, 18]), (1e-9, [2, 18])],
    ids=["cheap beside the training", "dear beside the training"],
)
def test_tensorboard_shows_both_pictures_at_several_steps(tmp_path, monkeypatch, share, steps):
    monkeypatch.setattr(gradient_picture, "SHARE", share)
    shown = shown_at(tmp_path, GradientPicture(tmp_path / "a.png"))
    assert shown == {"vitals/gradient_by_layer": steps, "vitals/gradient_heatmap": steps}


def test_one_that_is_not_enabled_draws_nothing(tmp_path):
    assert shown_at(tmp_path, GradientPicture(tmp_path / "a.png", enabled=False)) == {}
    assert not (tmp_path / "a.png").exists()


def test_the_last_epoch_is_drawn_once(tmp_path):
    fit(
        GradientVitals(),
        GradientPicture(),
        logger=TensorBoardLogger(tmp_path, name="", version=""),
        default_root_dir=tmp_path,
    )
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Images("vitals/gradient_heatmap")] == [2]


def test_what_is_saved_is_what_is_shown(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="", version="")
    fit(GradientVitals(), GradientPicture(tmp_path / "a.png"), logger=logger)
    (shown,) = EventAccumulator(str(tmp_path)).Reload().Images("vitals/gradient_by_layer")
    assert shown.encoded_image_string == (tmp_path / "a.png").read_bytes()
    assert (shown.width, shown.height) == (960, 576)


class Fails(Callback):
    def on_train_batch_end(self, *_):
        raise RuntimeError("stop here")


def test_a_fit_that_fails_is_drawn_too(tmp_path):
    with pytest.raises(RuntimeError, match="stop here"):
        fit(GradientVitals(), Fails(), GradientPicture(tmp_path / "new/a.png"))
    assert (tmp_path / "new/a.png").exists()


def test_a_picture_that_cannot_be_saved_does_not_end_the_run(tmp_path, caplog):
    (tmp_path / "file").touch()
    fit(GradientVitals(), GradientPicture(tmp_path / "file/a.png"))
    assert "the picture of the gradients cannot be saved" in caplog.text


@pytest.mark.parametrize("options", [{}, {"fast_dev_run": True}])
def test_nothing_is_drawn_of_nothing(tmp_path, options):
    callbacks = [GradientVitals()] if options else []
    fit(*callbacks, GradientPicture(), default_root_dir=tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limits", [[1.0], [2.0, 1.0], [0.0, 1.0]])
def test_limits_that_are_none(limits):
    with pytest.raises(ValueError, match=r"callbacks.picture.limits: expected \[LOW, HIGH\]"):
        GradientPicture(limits=limits)


def test_the_file_is_drawn_at_the_end_alone(tmp_path):
    class Looks(Callback):
        def on_train_epoch_end(self, *_):
            assert not (tmp_path / "gradient_by_layer.png").exists()

    logger = TensorBoardLogger(tmp_path, name="", version="")
    fit(GradientVitals(), GradientPicture(), Looks(), logger=logger, default_root_dir=tmp_path, max_epochs=2)
    assert (tmp_path / "gradient_by_layer.png").exists()


def test_without_a_logger_nothing_is_drawn_on_the_way(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(GradientPicture, "_draw", lambda self, trainer, last=False: drawn.append(last))
    fit(GradientVitals(), GradientPicture(), default_root_dir=tmp_path, max_epochs=3)
    assert drawn == [True]


def test_without_a_path_the_loggers_folder_gets_the_picture_and_the_numbers(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="mine", version="a")
    fit(GradientVitals(), GradientPicture(), logger=logger, default_root_dir=tmp_path / "elsewhere")
    folder = tmp_path / "mine/a"
    assert (folder / "gradient_by_layer.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((folder / "vitals.json").read_text())
    assert (found["measured"], found["remedies"]) == ({"start": 0, "end": 1}, [])
    assert found["layers"][0]["activation_grad_norm"]["end"] > 0


def test_with_a_path_there_is_the_picture_alone(tmp_path):
    fit(GradientVitals(), GradientPicture(tmp_path / "a.png"), default_root_dir=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
