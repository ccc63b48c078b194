"""Writes numbers, texts, pictures and histograms to all loggers.

Loggers are those of :func:`gradvitals.loggers.open_loggers.open_loggers`, each of which may fail alone, or
Lightning's, whose errors are raised. Where there are several processes, only the first one is given loggers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gradvitals.loggers.destination import Destination
from gradvitals.loggers.open_loggers import OpenLogger
from gradvitals.loggers.recognize import destination_of
from gradvitals.vitals import Histogram


def publish(loggers: Iterable[Any], values: Mapping[str, float], step: int) -> None:
    """Writes tagged numbers of one step; TensorBoard gets one event with many values."""
    _to_each(loggers, lambda to: to.numbers(values, step))


def publish_picture(loggers: Iterable[Any], tag: str, png: bytes, step: int) -> None:
    """Logs a PNG: to TensorBoard without decoding it, to MLflow as the artifact ``TAG.png``, else as an image."""
    _to_each(loggers, lambda to: to.picture(tag, png, step))


def publish_layout(loggers: Iterable[Any], layout: Mapping[str, Mapping[str, list[Any]]]) -> None:
    """Defines TensorBoard's page of custom scalars."""
    _to_each(loggers, lambda to: to.layout(layout))


def publish_text(loggers: Iterable[Any], tag: str, text: str, step: int) -> None:
    """Logs a text: to W&B as a table, to MLflow as the artifact ``TAG.txt`` of the latest one, else as a text."""
    _to_each(loggers, lambda to: to.text(tag, text, step))


def publish_histograms(loggers: Iterable[Any], histograms: Mapping[str, Histogram], step: int) -> None:
    """Logs histograms to TensorBoard and W&B; the other loggers have none."""
    if histograms:
        _to_each(loggers, lambda to: to.histograms(histograms, step))


def _to_each(loggers: Iterable[Any], write: Callable[[Destination], None]) -> None:
    for logger in loggers:
        if isinstance(logger, OpenLogger):
            logger.write(write)
        else:
            write(destination_of(logger))
