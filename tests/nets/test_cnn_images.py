"""The convolutional network on the images of each data set, as a run gives them to it."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from gradvitals.app.run.assemble import assemble
from tests.conftest import composed
from tests.faults.files import write_idx


def write_images(name: str, root: Path) -> None:
    """Writes sixty training and ten test images in the format of a data set."""
    rng = np.random.default_rng(0)
    for part, rows in (("train", 60), ("t10k", 10)):
        write_idx(root / name / "raw" / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (rows, 28, 28)))
        write_idx(root / name / "raw" / f"{part}-labels-idx1-ubyte", np.arange(rows) % 10)


@pytest.mark.parametrize(
    ("data", "folder", "shape"),
    [("digits", "", [1, 8, 8]), ("fashion_mnist", "FashionMNIST", [1, 28, 28]), ("mnist", "MNIST", [1, 28, 28])],
)
def test_images_reach_it_in_their_shape(data, folder, shape, tmp_path):
    options = []
    if folder:
        write_images(folder, tmp_path)
        options = [f"data.root={tmp_path}", "data.num_val=20", "data.download=false"]
    run = assemble(composed("model=cnn", f"data={data}", *options, run_dir=str(tmp_path / "run")))
    assert run.model.net.layers[0].conv.in_channels == shape[0]
    assert list(run.model.net.in_shape) == shape
    x, _ = next(iter(run.data.train_dataloader()))
    assert run.model(x).shape == (len(x), 10)


def test_color_images_of_cifar10_do_too(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        content = {"data": rng.integers(0, 256, (20, 3072), dtype=np.uint8), "labels": [i % 10 for i in range(20)]}
        (folder / name).write_bytes(pickle.dumps(content))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    monkeypatch.setattr(
        "torchvision.datasets.cifar.check_integrity", lambda *_: True
    )  # whose checksums are of real files
    options = [f"data.root={tmp_path}", "data.num_val=20", "data.download=false"]
    run = assemble(composed("model=cnn", "data=cifar10", *options, run_dir=str(tmp_path / "run")))
    x, _ = next(iter(run.data.train_dataloader()))
    assert x.shape[1:] == (3, 32, 32)
    assert run.model(x).shape == (len(x), 10)


def test_data_without_images_say_what_is_accepted(tmp_path):
    with pytest.raises(ValueError, match=r"model=cnn: expected images .*; the data has samples of shape \(4,\)"):
        assemble(composed("model=cnn", "data=iris", run_dir=str(tmp_path)))
