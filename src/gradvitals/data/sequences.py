"""Tasks of memory, drawn anew from a seed: adding two marked numbers, and copying symbols after a pause."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Unpack

import torch

from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.data.tensors import LoaderOptions, TensorDataModule

SYMBOLS, COPIED = 8, 10  # of the copy task: different symbols, and how many are to be remembered
BLANK, MARKER = SYMBOLS, SYMBOLS + 1


class Adding(TensorDataModule):
    """The sum of the two numbers of a sequence that are marked (Hochreiter & Schmidhuber, 1997).

    Each step has two features, a number uniform in [0, 1) and a mark, 1 at one step of the first half and at one of the
    second half. The target is the sum of the marked numbers. Without memory the mean, 1, is the best prediction, whose
    squared error is the variance of the sum, 1/6.

    Args:
        length: steps of a sequence.
        num_samples: training sequences; a tenth as many validate, and another tenth tests.
        seed: of the data; None uses torch's global generator.
        **loader: see :class:`TensorDataModule`.

    Example:
        >>> train = Adding(length=4, num_samples=10).loaded.train
        >>> train.x.shape, torch.equal((train.x[..., 0] * train.x[..., 1]).sum(1), train.y)
        (torch.Size([10, 4, 2]), True)
    """

    def __init__(
        self, length: int = 100, num_samples: int = 10_000, seed: int | None = 0, **loader: Unpack[LoaderOptions]
    ) -> None:
        super().__init__(**loader)
        if length < 2:
            raise ValueError(f"data.length: expected at least 2 steps, one for each mark; got {length}")
        self.length, self.num_samples, self.seed = length, num_samples, seed

    def load(self) -> Splits:
        return Splits(*_drawn(self._draw, self.num_samples, self.seed), "regression", 1, baseline=1 / 6)

    def _draw(self, samples: int, generator: torch.Generator | None) -> Split:
        numbers, half = torch.rand(samples, self.length, generator=generator), self.length // 2
        first = torch.randint(0, half, (samples, 1), generator=generator)
        second = torch.randint(half, self.length, (samples, 1), generator=generator)
        marks = torch.zeros_like(numbers).scatter_(1, torch.cat([first, second], 1), 1.0)
        return Split(torch.stack([numbers, marks], 2), (numbers * marks).sum(1))


class Copy(TensorDataModule):
    """Ten symbols that are to be repeated after a pause (Hochreiter & Schmidhuber, 1997; Arjovsky et al., 2016).

    A sequence has ``length + 20`` steps: ten of eight symbols, blanks, a marker, and ten blanks. The target is a blank
    at each step but the last ten, which repeat the symbols. Each step is one-hot. Without memory, the best loss is ten
    guesses among eight symbols: 10 log 8 / (length + 20).

    Args:
        length: of the pause, in steps.
        num_samples, seed, **loader: see :class:`Adding`.

    Example:
        >>> train = Copy(length=5, num_samples=10).loaded.train
        >>> train.x.shape, torch.equal(train.x[:, :10].argmax(2), train.y[:, -10:])
        (torch.Size([10, 25, 10]), True)
    """

    def __init__(
        self, length: int = 100, num_samples: int = 10_000, seed: int | None = 0, **loader: Unpack[LoaderOptions]
    ) -> None:
        super().__init__(**loader)
        if length < 1:
            raise ValueError(f"data.length: expected a pause of at least 1 step; got {length}")
        self.length, self.num_samples, self.seed = length, num_samples, seed

    def load(self) -> Splits:
        baseline = COPIED * math.log(SYMBOLS) / (self.length + 2 * COPIED)
        return Splits(*_drawn(self._draw, self.num_samples, self.seed), "multiclass", SYMBOLS + 1, baseline=baseline)

    def _draw(self, samples: int, generator: torch.Generator | None) -> Split:
        symbols = torch.randint(0, SYMBOLS, (samples, COPIED), generator=generator)
        given = torch.full((samples, self.length + 2 * COPIED), BLANK)
        wanted = given.clone()
        given[:, :COPIED], given[:, -COPIED - 1], wanted[:, -COPIED:] = symbols, MARKER, symbols
        return Split(torch.nn.functional.one_hot(given, SYMBOLS + 2).float(), wanted)


def _drawn(
    draw: Callable[[int, torch.Generator | None], Split], samples: int, seed: int | None
) -> tuple[Split, Split, Split]:
    if samples < 2:
        raise ValueError(f"data.num_samples: expected at least 2 sequences; got {samples}")
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    few = max(samples // 10, 2)
    return draw(samples, generator), draw(few, generator), draw(few, generator)
