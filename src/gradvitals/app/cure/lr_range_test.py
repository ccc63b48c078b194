"""The learning-rate range test."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradvitals.app.config.compose import compose_run_config
from gradvitals.app.config.error_messages import explain
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.cure.trial import bare, signals_of_the_caller, silence
from gradvitals.app.run.environment import prepare

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RangeTest:
    """The learning rate that a range test found, None without one, and the length of the test."""

    lr: float | None = None
    steps: int = 0
    seconds: float = 0.0


def range_test(overrides: Sequence[str], *, conf: Path | None = None) -> RangeTest:
    """Finds the learning rate at which the loss falls fastest while the rate grows, by Lightning's ``Tuner.lr_find``.

    An error is logged and finds no rate, since other remedies remain.

    References:
        Smith (2017), Cyclical Learning Rates for Training Neural Networks.

    Example:
        >>> found = range_test(["data=blobs", "optimizer=sgd"])
        >>> 1e-4 < found.lr < 10, found.steps
        (True, 81)
    """
    began = time.perf_counter()
    rates: list[float] = []
    losses: list[float] = []
    try:
        with silence(), tempfile.TemporaryDirectory() as folder:
            settings = bare(compose_run_config(overrides, Path(folder), conf))
            settings |= {"scheduler": {}, "monitor": {}}
            rates, losses = _lr_find(prepare(settings))
    except Exception as error:
        log.info(f"range test   failed: {explain(error)}")
    return RangeTest(steepest(rates, losses), len(losses), time.perf_counter() - began)


def _lr_find(settings: RunConfig) -> tuple[list[float], list[float]]:
    """The learning rates, and the loss at each."""
    from lightning.pytorch.tuner import Tuner

    from gradvitals.app.run.assemble import assemble

    run = assemble(settings)
    with signals_of_the_caller(), contextlib.redirect_stderr(io.StringIO()):  # where the progress bar goes
        tuner = Tuner(run.trainer)
        found = tuner.lr_find(run.model, datamodule=run.data, min_lr=1e-7, max_lr=10, update_attr=False)
    return (found.results["lr"], found.results["loss"]) if found else ([], [])


def steepest(rates: Sequence[float], losses: Sequence[float], skip: int = 10) -> float | None:
    """Returns the rate at which the loss falls fastest per decade of the rate; None if it never falls by a tenth.

    Lightning's own suggestion takes the slope per unit of the rate, which noise at the smallest rates dominates.

    Example:
        >>> steepest([1e-4, 1e-3, 1e-2, 1e-1], [2.0, 2.0, 1.5, 1.4], skip=0)
        0.01
    """
    points = [(r, x) for r, x in zip(rates, losses, strict=True) if math.isfinite(x)][skip:]
    if len(points) < 3 or min(x for _, x in points) > 0.9 * points[0][1]:
        return None
    slopes = {
        rate: (after[1] - before[1]) / math.log(after[0] / before[0])
        for before, (rate, _), after in zip(points, points[1:], points[2:], strict=False)
    }
    return min(slopes, key=lambda rate: slopes[rate])
