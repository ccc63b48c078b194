import numpy as np
import pytest
import torch

from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.data.digits import Digits
from gradvitals.data.iris import Iris
from gradvitals.data.tables import scale
from gradvitals.data.tensors import TensorDataModule
from gradvitals.data.toys import Blobs, Circles


def test_scaling_knows_training_rows_alone():
    # Mean 2, deviation 1 in training; 4 is two deviations above, whatever the other rows are.
    train, other = scale(np.array([[1.0], [3.0]]), np.array([[4.0], [1000.0]]))
    assert train[:, 0].tolist() == [-1, 1]
    assert other[:, 0].tolist() == [2, 998]


def test_a_constant_feature_stays_finite():
    assert np.isfinite(scale(np.ones((4, 1)))[0]).all()


def test_digits():
    splits = Digits().loaded
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [1257, 180, 360]
    assert (splits.task, splits.num_classes) == ("multiclass", 10)
    assert float(splits.train.x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(splits.train.x.std()) == pytest.approx(1, abs=1e-3)
    assert 0 <= Digits(scaling="raw").loaded.train.x.min()
    assert Digits(scaling="raw").loaded.train.x.max() == 16


def test_iris_petals_raw_and_whole():
    splits = Iris(features="petal", split=False, scaling="raw").loaded
    assert len(splits.train) == len(splits.val) == len(splits.test) == 150
    assert splits.train.x[0].tolist() == pytest.approx([1.4, 0.2])  # the first iris, in centimetres


@pytest.mark.parametrize(("kind", "task", "classes"), [(Circles, "binary", 2), (Blobs, "multiclass", 3)])
def test_toys_train_on_the_first_700_rows_unscaled(kind, task, classes):
    from sklearn.datasets import make_blobs, make_circles

    drawn = {
        Circles: make_circles(1000, noise=0.1, random_state=1),
        Blobs: make_blobs(1000, centers=3, cluster_std=2, random_state=2),
    }[kind][0]
    splits = kind().loaded
    assert (splits.task, splits.num_classes) == (task, classes)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [700, 300, 300]
    torch.testing.assert_close(splits.train.x, torch.tensor(drawn[:700], dtype=torch.float32))


class Counting(TensorDataModule):
    """Rows 0 ... n-1, to see which ones a loader gives."""

    def __init__(self, rows: int, **loader):
        super().__init__(**loader)
        self.rows = rows

    def load(self):
        part = Split(torch.arange(self.rows, dtype=torch.float32)[:, None], torch.arange(self.rows))
        return Splits(part, part, part, "multiclass", self.rows)


def test_an_epoch_holds_every_row_once():
    batches = [y for _, y in Counting(50, batch_size=16).train_dataloader()]
    assert [len(y) for y in batches] == [16, 16, 16, 2]
    assert sorted(torch.cat(batches).tolist()) == list(range(50))
    assert torch.cat(batches).tolist() != list(range(50))


def test_in_order_without_shuffling():
    loader = Counting(50, batch_size=16, shuffle=False).train_dataloader()
    assert torch.cat([y for _, y in loader]).tolist() == list(range(50))


def test_a_last_batch_of_one_sample_is_left_out():
    # BatchNorm has no statistics of one sample.
    assert [len(y) for _, y in Counting(33, batch_size=16).train_dataloader()] == [16, 16]


def test_one_batch_is_one_fetch():
    data = Counting(64, batch_size=32)
    loader, calls = data.train_dataloader(), []
    original = type(loader.dataset).__getitems__
    loader.dataset.__class__ = type(
        "Counted",
        (type(loader.dataset),),
        {"__getitems__": lambda s, rows: calls.append(len(rows)) or original(s, rows)},
    )
    list(loader)
    assert calls == [32, 32]


def test_workers_give_the_same_batches():
    plain = [y.tolist() for _, y in Counting(20, batch_size=8, shuffle=False).train_dataloader()]
    workers = [y.tolist() for _, y in Counting(20, batch_size=8, shuffle=False, num_workers=1).train_dataloader()]
    assert plain == workers


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Iris(features="stem"), "data.features: expected one of all, petal, sepal; got 'stem'"),
        (lambda: Digits(scaling="log").loaded, "data.scaling: expected one of standard, raw; got 'log'"),
    ],
)
def test_wrong_input_says_what_is_accepted(make, words):
    with pytest.raises(ValueError, match=words):
        make()
