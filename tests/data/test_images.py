from pathlib import Path

import numpy as np
import pytest
import torch

from gradvitals.data.images import Images
from tests.faults.files import write_idx


@pytest.fixture
def tiny(tmp_path):
    """Sixty training and ten test images of 28 x 28 in MNIST's format."""
    rng = np.random.default_rng(0)
    for part, rows in (("train", 60), ("t10k", 10)):
        write_idx(tmp_path / f"MNIST/raw/{part}-images-idx3-ubyte", rng.integers(0, 256, (rows, 28, 28)))
        write_idx(tmp_path / f"MNIST/raw/{part}-labels-idx1-ubyte", np.arange(rows) % 10)
    return str(tmp_path)


def test_the_first_training_images_validate(tiny):
    splits = Images("MNIST", tiny, num_val=20, scaling="raw").loaded
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [40, 20, 10]
    assert splits.val.y.tolist() == [i % 10 for i in range(20)]
    assert splits.train.x.shape == (40, 1, 28, 28)
    assert splits.train.x.max() > 200


def test_scalings(tiny):
    raw, unit, standard = (Images("MNIST", tiny, num_val=20, scaling=s).loaded for s in ("raw", "unit", "standard"))
    torch.testing.assert_close(unit.train.x * 255, raw.train.x)
    assert float(standard.train.x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(standard.train.x.std()) == pytest.approx(1, abs=1e-4)


def test_each_pixel_by_itself(tiny):
    (Path(tiny) / "MNIST/raw/train-images-idx3-ubyte").unlink()
    images = np.zeros((60, 28, 28))
    images[:, 0, 0], images[:, 0, 1] = np.arange(60), 7  # one pixel counts, one is always the same, the rest is dark
    write_idx(Path(tiny) / "MNIST/raw/train-images-idx3-ubyte", images)
    train = Images("MNIST", tiny, num_val=20, scaling="per_pixel").loaded.train.x
    # Training rows hold 20 ... 59: mean 39.5.
    assert float(train[0, 0, 0, 0]) == pytest.approx((20 - 39.5) / np.arange(20, 60).std(ddof=1), rel=1e-5)
    assert train[:, 0, 0, 1:].abs().max() == 0


def test_without_files_the_error_says_what_to_put_where(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"(?s)expected train-images-idx3-ubyte.*MNIST/raw.*data.root=DIR.*GRADVITALS_DATA"
    ):
        Images("MNIST", str(tmp_path), download=False).prepare_data()


def test_without_network_too(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(FileNotFoundError, match="downloading failed.*Put them there"):
        Images("FashionMNIST", str(tmp_path)).loaded


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "KMNIST"}, "data.name: expected one of FashionMNIST, MNIST, CIFAR10; got 'KMNIST'"),
        ({"scaling": "log"}, "data.scaling: expected one of unit, standard, per_pixel, raw; got 'log'"),
    ],
)
def test_wrong_input_says_what_is_accepted(options, words):
    with pytest.raises(ValueError, match=words):
        Images(**{"name": "MNIST", "root": "x", **options})


def test_too_many_validation_images(tiny):
    with pytest.raises(ValueError, match="data.num_val: expected 1 to 59; got 60"):
        Images("MNIST", tiny, num_val=60).loaded


def test_real_fashion_mnist(data_root):
    splits = Images("FashionMNIST", str(data_root), download=False).loaded
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [55_000, 5_000, 10_000]
    assert splits.train.x.shape[1:] == (1, 28, 28)
    assert float(splits.train.x.max()) == 1.0
