from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from gradvitals.data.sequence_csv import SequenceCsv
from gradvitals.losses import loss_function

SERIES = 40


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Writes 40 series of 1 to 7 steps, the newest first; x is 10 i + t, and every third series is of class b."""
    rows = [f"s{i},{t},{10 * i + t},{'ab'[i % 3 == 0]},{i}" for i in range(SERIES) for t in reversed(range(1 + i % 7))]
    path = tmp_path / "steps.csv"
    path.write_text("\n".join(["id,t,x,y,z", *rows]))
    return str(path)


def data(file: str, **options) -> SequenceCsv:
    options = {"target": "y", "series": "id", "time": "t", "drop": ["z"], "scaling": "raw", "batch_size": 8, **options}
    return SequenceCsv(file, **options)


def test_each_series_is_a_sample_of_its_own_length(file):
    splits = data(file).loaded
    assert [len(splits.train), len(splits.val), len(splits.test)] == [28, 4, 8]
    assert (splits.task, splits.num_classes, splits.in_shape) == ("binary", 2, (7, 1))
    for x, y, length in zip(splits.train.x, splits.train.y, splits.train.lengths, strict=True):
        number = int(x[0, 0]) // 10
        assert x[:, 0].tolist() == [10.0 * number + t for t in range(length)] + [0.0] * (7 - length)
        assert (length, y) == (1 + number % 7, number % 3 == 0)


def test_the_target_of_a_regression_is_one_for_each_series(file):
    splits = data(file, target="z", task="regression", drop=["y"]).loaded
    assert splits.train.y.tolist() == [float(int(x[0, 0]) // 10) for x in splits.train.x]


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_batch_of_mixed_lengths_gives_the_numbers_of_the_sequences_one_by_one(file, cell):
    # Outputs, loss and gradients: padding has no part in any of them.
    torch.manual_seed(0)
    table, net = data(file, scaling="standard"), cell(1, 4, batch_first=True).double()
    head, loss_of = nn.Linear(4, 1).double(), loss_function("binary")
    parameters = [*net.parameters(), *head.parameters()]

    def outputs(x):
        last = net(x)[1]
        return head((last[0] if isinstance(last, tuple) else last)[-1])

    packed, y = next(iter(table.train_dataloader()))
    assert isinstance(packed, PackedSequence)
    packed = packed.double()
    together = outputs(packed)
    loss_of(together, y).backward()
    gradients = [p.grad.clone() for p in parameters]
    for parameter in parameters:
        parameter.grad = None
    padded, lengths = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    assert len(set(lengths.tolist())) > 2
    alone = torch.cat([outputs(x[None, :length]) for x, length in zip(padded, lengths, strict=True)])
    torch.testing.assert_close(together, alone)
    for each, target in zip(alone, y, strict=True):
        (loss_of(each[None], target[None]) / len(y)).backward(retain_graph=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_classes_are_weighted_by_series(file):
    table = data(file, class_weight="balanced")
    b = int(table.loaded.train.y.sum())
    assert table.class_weights == pytest.approx([28 / (2 * (28 - b)), 28 / (2 * b)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"series": ""}, "data.series: expected a column of the table, such as id, t, x, y, z; got no name"),
        ({"time": ""}, "data.time: expected a column of the table, such as id, t, x, y, z; got no name"),
        ({"series": "x_"}, "data.series: expected a column of the table, such as x; got 'x_'. Set data.series=x"),
        ({"target": "x", "task": "regression"}, "data.target=x: expected one value in each series; got"),
        ({"group": "id"}, "data.group: data=sequence_csv splits by data.series alone"),
        ({"step": "t"}, "data.step: SequenceCsv takes no such key; expected one of path, target, series, time"),
        ({"path": ""}, "data=sequence_csv needs data.path=FILE and data.target, data.series and data.time"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(file, options, words):
    options = {"file": options.pop("path", file), **options}
    with pytest.raises(ValueError, match=words):
        data(**options).setup()
