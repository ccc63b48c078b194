"""Where numbers can be written: what every kind of logger has to offer, and the two simplest kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gradvitals.vitals import Histogram


class Destination:
    """Takes what is published; what a kind of logger cannot show is dropped here."""

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Writes tagged numbers of one step."""

    def text(self, tag: str, text: str, step: int) -> None:
        """Writes a text."""

    def picture(self, tag: str, png: bytes, step: int) -> None:
        """Writes a PNG."""

    def histograms(self, histograms: Mapping[str, Histogram], step: int) -> None:
        """Writes tagged histograms of one step."""

    def layout(self, layout: Mapping[str, Mapping[str, list[Any]]]) -> None:
        """Defines TensorBoard's page of custom scalars."""

    def close(self) -> None:
        """Writes what is still waiting, and closes what gradvitals has opened itself."""


class MetricsLogger(Destination):
    """Anything with ``log_metrics(metrics, step)``: a logger of Lightning or Fabric, or another class."""

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        self.logger.log_metrics(dict(values), step)


class Function(Destination):
    """A function ``(step, numbers) -> None``."""

    def __init__(self, function: Callable[[int, dict[str, float]], object]) -> None:
        self._function = function

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        self._function(step, dict(values))
