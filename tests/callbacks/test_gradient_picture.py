import pytest
import torch
from lightning import Callback, Trainer
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.callbacks.gradient_picture import GradientPicture
from gradvitals.callbacks.gradient_vitals import GradientVitals
from gradvitals.classifier import Classifier


def fit(*callbacks, **options) -> None:
    data = DataLoader(TensorDataset(torch.randn(32, 4), torch.arange(32) % 3), batch_size=16)
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, callbacks=list(callbacks), enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    trainer.fit(Classifier({"_target_": "gradvitals.nets.mlp.MLP"}, 4, 3), data, data)


def test_without_a_path_it_lies_in_the_trainers_folder(tmp_path):
    fit(GradientVitals(), GradientPicture(), default_root_dir=tmp_path)
    assert (tmp_path / "gradient_by_layer.png").read_bytes().startswith(b"\x89PNG")


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
