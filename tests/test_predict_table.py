"""The predictions of a network for a table, in Python."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from gradvitals.classifier import Classifier
from gradvitals.data.csv import Csv
from tests.app.commands.conftest import colors, houses

LINEAR = {"_target_": "torch.nn.Linear"}
NORMALIZED = {"_target_": "gradvitals.nets.mlp.MLP", "depth": 1, "width": 8, "norm": "batch"}


@pytest.fixture
def table(tmp_path):
    def read(frame: pd.DataFrame, target: str, **options) -> Csv:
        file = tmp_path / "table.csv"
        frame.to_csv(file, index=False)
        data = Csv(str(file), target=target, **options)
        data.setup()
        return data

    return read


def model_of(data: Csv, spec: dict = LINEAR, **options) -> Classifier:
    splits = data.loaded
    return Classifier(
        spec,
        splits.train.x.shape[1],
        splits.num_classes,
        splits.task,
        preparation=data.preparation.to_dict(),
        **options,
    )


@pytest.mark.parametrize("loss", ["ce", "bce", "mse"])
def test_several_classes(table, loss):
    frame = colors(50)
    model = model_of(table(frame, "label"), loss=loss)
    found = model.predict_table(frame)
    outputs = model.net(torch.from_numpy(model.preparation.features(frame))).detach().double()
    shares = outputs.softmax(1) if loss == "ce" else outputs.sigmoid() / outputs.sigmoid().sum(1, keepdim=True)
    assert found.drop(columns="prediction").to_numpy() == pytest.approx(shares.numpy())
    assert list(found["prediction"]) == [("A", "B", "C")[i] for i in outputs.argmax(1)]


def test_two_classes(table):
    frame = colors(60)
    frame = frame[frame["label"] != "C"]
    model = model_of(table(frame, "label"))
    found = model.predict_table(frame)
    second = model.net(torch.from_numpy(model.preparation.features(frame))).detach().double().sigmoid()[:, 0].numpy()
    assert list(found.columns) == ["prediction", "probability of A", "probability of B"]
    assert found["probability of A"].to_numpy() == pytest.approx(1 - second)
    assert found["probability of B"].to_numpy() == pytest.approx(second)
    assert list(found["prediction"] == "B") == list(second > 0.5)
    assert list(found.index) == list(frame.index)


def test_a_quantity_in_its_own_unit(table):
    frame = houses(60)
    model = model_of(table(frame, "price"))
    x = torch.from_numpy(model.preparation.features(frame)).double()
    y = torch.from_numpy(model.preparation.targets(frame.astype(str))).double()
    solved = torch.linalg.lstsq(torch.cat([x, torch.ones(60, 1)], 1), y[:, None]).solution[:, 0]
    with torch.no_grad():
        model.net.weight[0] = solved[:2]
        model.net.bias[0] = solved[2]
    assert model.predict_table(frame)["prediction"].to_numpy() == pytest.approx(frame["price"].to_numpy(), abs=1)


def test_columns_have_their_own_types_and_order(table):
    frame = colors(50)
    model = model_of(table(frame, "label"))
    typed = frame.astype({"colour": "category", "v": np.float32})[["v", "colour"]]
    pd.testing.assert_frame_equal(model.predict_table(typed), model.predict_table(frame), atol=1e-5)
    pd.testing.assert_frame_equal(model.predict_table(frame.astype(str)), model.predict_table(frame))


def test_a_row_is_predicted_alone_as_among_others_and_the_mode_is_restored(table, monkeypatch):
    monkeypatch.setattr("gradvitals.classifier.ROWS", 7)
    frame = colors(50)
    model = model_of(table(frame, "label"), NORMALIZED)
    model.net(torch.from_numpy(model.preparation.features(frame)))  # moves the statistics of BatchNorm
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert model.training
    together = model.predict_table(frame)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    alone = pd.concat([model.predict_table(frame.iloc[[i]]) for i in range(5)])
    pd.testing.assert_frame_equal(alone, together.head(5), atol=1e-6)
    model.double()
    assert model.predict_table(frame)["probability of A"].to_numpy() == pytest.approx(
        together["probability of A"].to_numpy(), abs=1e-5
    )


def test_it_warns_once_of_what_differs(table):
    frame = colors(50)
    model = model_of(table(frame, "label"))
    other = frame.assign(v=frame["v"] + 1000)
    other.loc[:3, "colour"] = "yellow"
    with pytest.warns(UserWarning, match=r"differs from the training table: .*yellow") as caught:
        model.predict_table(other)
    assert len(caught) == 1
    assert "v: " in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict_table(other, warn=False)


def test_a_network_that_saw_no_table_is_refused():
    with pytest.raises(ValueError, match=r"expected a model that was trained on a table \(data=csv\)"):
        Classifier(LINEAR, 2, 3).predict_table(colors(5))


def test_checkpoints_of_earlier_versions_load(table, tmp_path):
    from lightning import Trainer

    frame, file = colors(50), tmp_path / "a.ckpt"
    model = model_of(table(frame, "label"))
    quiet = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    trainer = Trainer(max_steps=0, enable_progress_bar=False, enable_model_summary=False, **quiet)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(file)
    loaded = Classifier.load_from_checkpoint(file)
    pd.testing.assert_frame_equal(loaded.predict_table(frame), model.predict_table(frame))
    content = torch.load(file, weights_only=True)
    del content["hyper_parameters"]["preparation"]
    torch.save(content, file)
    assert Classifier.load_from_checkpoint(file).preparation is None
