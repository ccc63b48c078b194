"""The tasks of memory by their definitions, and their losses without memory."""

import math

import pytest
import torch

from gradvitals.data.digits import Digits, SequentialDigits
from gradvitals.data.sequences import BLANK, MARKER, Adding, Copy


def test_adding_marks_one_number_in_each_half():
    splits = Adding(length=7, num_samples=200).loaded
    for split, samples in ((splits.train, 200), (splits.val, 20), (splits.test, 20)):
        numbers, marks = split.x.unbind(2)
        assert split.x.shape == (samples, 7, 2)
        assert (marks[:, :3].sum(1) == 1).all()
        assert (marks[:, 3:].sum(1) == 1).all()
        assert ((numbers >= 0) & (numbers < 1)).all()
        torch.testing.assert_close(split.y, (numbers * marks).sum(1))


def test_the_loss_of_adding_without_memory_is_the_variance_of_the_sum():
    splits = Adding(length=10, num_samples=20_000).loaded
    # The variance of 20,000 sums has a relative standard deviation of about 1 %.
    assert splits.baseline == 1 / 6 == pytest.approx(splits.train.y.var().item(), rel=0.04)
    assert splits.train.y.mean().item() == pytest.approx(1.0, abs=0.02)


def test_copy_repeats_the_symbols_after_the_marker():
    split = Copy(length=3, num_samples=5).loaded.train
    given = split.x.argmax(2)
    assert (split.x.sum(2) == 1).all()
    assert given.shape == split.y.shape == (5, 23)
    assert torch.equal(given[:, :10], split.y[:, -10:])
    assert (given[:, :10] < BLANK).all()
    assert (given[:, 12] == MARKER).all()  # after 10 symbols and 2 of the 3 blanks: ten steps before the end
    assert (given[:, 10:12] == BLANK).all()
    assert (given[:, 13:] == BLANK).all()
    assert (split.y[:, :-10] == BLANK).all()


def test_the_loss_of_copy_without_memory():
    splits = Copy(length=30, num_samples=10).loaded
    assert splits.baseline == pytest.approx(10 * math.log(8) / 50)
    certain, guess = torch.full((9,), -100.0), torch.zeros(9)  # a blank is certain until the marker; then 1 of 8
    certain[BLANK], guess[BLANK] = 100.0, -100.0
    outputs = torch.cat([certain.expand(40, 9), guess.expand(10, 9)])
    loss = torch.nn.functional.cross_entropy(outputs, splits.train.y[0])
    assert loss.item() == pytest.approx(splits.baseline, rel=1e-6)


@pytest.mark.parametrize("read", ["rows", "pixels"])
def test_the_digits_as_sequences_are_the_digits(read):
    plain, sequences = Digits().loaded, SequentialDigits(read=read).loaded
    assert sequences.in_shape == {"rows": (8, 8), "pixels": (64, 1)}[read]
    assert torch.equal(sequences.train.x.flatten(1), plain.train.x)
    assert torch.equal(sequences.test.y, plain.test.y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adding(length=1), "data.length: expected at least 2"),
        (lambda: Copy(length=0), "data.length: expected a pause"),
        (lambda: Adding(num_samples=1).loaded, "data.num_samples: expected at least 2"),
        (lambda: SequentialDigits(read="columns"), "data.read: expected one of rows, pixels"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
