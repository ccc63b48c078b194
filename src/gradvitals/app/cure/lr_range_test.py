"""The learning-rate range test."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradvitals.app.config.compose import CONF, compose_run_config
from gradvitals.app.config.error_messages import explain
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.cure.trial import _bare, silence
from gradvitals.app.run.environment import prepare


def range_test(overrides: Sequence[str], *, conf: Path = CONF) -> tuple[float | None, int, float]:
    """The rate at which the loss falls fastest while the rate grows (Smith, 2017), by Lightning's ``Tuner.lr_find``.

    Returns:
        The rate, None where none was found; steps and seconds that it took.

    Example:
        >>> rate, steps, _ = range_test(["data=blobs", "optimizer=sgd"])
        >>> 1e-4 < rate < 10, steps
        (True, 81)
    """
    began, finder = time.perf_counter(), None
    with silence(), tempfile.TemporaryDirectory() as folder:
        try:
            settings = _bare(compose_run_config(overrides, Path(folder), conf), None)
            settings |= {"scheduler": {}, "monitor": {}}
            finder = _lr_find(prepare(settings))
        except Exception as error:  # a remedy less, no reason to give up the others
            logging.getLogger(__name__).info(f"range test failed: {explain(error)}")
    losses = finder.results["loss"] if finder else []
    rate = steepest(finder.results["lr"], losses) if finder else None
    return rate, len(losses), time.perf_counter() - began


def _lr_find(settings: RunConfig) -> Any:
    from lightning.pytorch.tuner import Tuner

    from gradvitals.app.run.assemble import assemble

    run = assemble(settings)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # its bar
            return Tuner(run.trainer).lr_find(run.model, datamodule=run.data, min_lr=1e-7, max_lr=10, update_attr=False)
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, interrupt)


def steepest(rates: Sequence[float], losses: Sequence[float], skip: int = 10) -> float | None:
    """The rate at which the loss falls fastest per decade of the rate; None where it falls nowhere by a tenth.

    Lightning's own suggestion takes the slope per unit of the rate, which noise at the smallest rates wins.

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
