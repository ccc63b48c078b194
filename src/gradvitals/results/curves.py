"""The curves of a run, from TensorBoard's event files or from ``metrics.csv``.

TensorBoard's own reader keeps checksums, reservoirs and threads, and takes ten times as long: too long for 200 runs.
"""

from __future__ import annotations

import csv
import math
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from gradvitals.formatting import natural

Point = tuple[int, float]
Curves = dict[str, list[Point]]

EVENT_FILES, CSV_FILE = "events.out.tfevents.*", "metrics.csv"
HEADER, CHECKSUM = 12, 4  # bytes of a record: its length and a checksum before the content, another checksum after it
LAYER = re.compile(r"\d+(-\d+)?\.")  # the beginning of a label, of a layer or a block of layers


@dataclass(frozen=True)
class ByLayer:
    """One kind of number by layer and step.

    Attributes:
        layers: labels, input side first.
        steps: the measured ones, ascending.
        values: one list for each step, with one number for each layer; None where it was not measured.
    """

    layers: list[str]
    steps: list[int]
    values: list[list[float | None]]


def read_curves(folder: Path, prefixes: tuple[str, ...] = ("",)) -> Curves:
    """Returns tag -> points of step and value, of the tags that begin with one of the prefixes.

    Where a run was resumed, points that an earlier file has from that step on do not count. Without event files the
    numbers are those of ``metrics.csv``; without both there are none.
    """
    files = sorted(folder.glob(EVENT_FILES), key=lambda file: natural(file.name))
    curves: Curves = {}
    for file in files:
        records = file.read_bytes()
        begin = _resumed_at(records)
        kept = {tag: [point for point in points if point[0] < begin] for tag, points in curves.items()}
        for tag, points in _curves(_scalars(records, prefixes)).items():
            kept[tag] = [point for point in kept.get(tag, ()) if point[0] < points[0][0]] + points
        curves = {tag: points for tag, points in kept.items() if points}
    return curves if files else _curves(_rows(folder / CSV_FILE, prefixes))


def _resumed_at(data: bytes) -> float:
    """The step from which a file replaces those before it: that of a session start among its first events."""
    from tensorboard.compat.proto.event_pb2 import SessionLog

    starts = (e.step for e in islice(_events(data), 4) if e.session_log.status == SessionLog.START)
    return next(starts, math.inf)


def _curves(scalars: Iterable[tuple[str, Point]]) -> Curves:
    found: Curves = {}
    for tag, point in scalars:
        found.setdefault(tag, []).append(point)
    return {tag: sorted(dict(points).items()) for tag, points in found.items()}


def _scalars(data: bytes, prefixes: tuple[str, ...]) -> Iterator[tuple[str, Point]]:
    for event in _events(data):
        step = event.step
        for value in event.summary.value:
            if (tag := value.tag).startswith(prefixes) and value.HasField("simple_value"):
                yield tag, (step, value.simple_value)


def _events(data: bytes) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event

    for record in _records(data):
        try:
            yield Event.FromString(record)
        except Exception:  # protobuf's own DecodeError: torn, or no event file
            return


def _records(data: bytes) -> Iterator[bytes]:
    """The whole records of an event file, whose last one may be torn."""
    at = 0
    while at + HEADER <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        begin = at + HEADER
        at = begin + length + CHECKSUM
        if at > len(data):
            return
        yield data[begin : begin + length]


def _rows(file: Path, prefixes: tuple[str, ...]) -> Iterator[tuple[str, Point]]:
    if not file.is_file():
        return
    with file.open(newline="", encoding="utf-8", errors="replace") as lines:
        for row in csv.DictReader(lines):
            step = _number(row.pop("step", None))
            for tag, text in row.items():
                value = _number(text)
                if step is not None and value is not None and tag and tag.startswith(prefixes):
                    yield tag, (int(step), value)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except (TypeError, ValueError):
        return None


def by_layer(curves: Mapping[str, Sequence[Point]], kind: str) -> ByLayer:
    """Returns the curves ``kind/LAYER`` as a table.

    Example:
        >>> by_layer({"norm/0.a": [(0, 1.0), (5, 2.0)], "norm/1.b": [(5, 3.0)], "norm/total": []}, "norm")
        ByLayer(layers=['0.a', '1.b'], steps=[0, 5], values=[[1.0, None], [2.0, 3.0]])
    """
    found = {tag.partition("/")[2]: dict(points) for tag, points in curves.items() if tag.startswith(f"{kind}/")}
    layers = sorted((label for label in found if LAYER.match(label)), key=natural)
    columns = [found[label] for label in layers]
    steps = sorted(set().union(*columns))
    return ByLayer(layers, steps, [[column.get(step) for column in columns] for step in steps])


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """Returns at most so many points: the first, the last, and the extremes of each interval between them.

    Example:
        >>> thin([(step, float(step == 5)) for step in range(100)], 6)
        [(0, 0.0), (1, 0.0), (5, 1.0), (50, 0.0), (99, 0.0)]
    """
    if len(points) <= most:
        return list(points)
    inner, intervals = points[1:-1], max((most - 2) // 2, 1)
    kept = [points[0]]
    for i in range(intervals):
        interval = inner[i * len(inner) // intervals : (i + 1) * len(inner) // intervals]
        numbers = [point for point in interval if not math.isnan(point[1])] or interval
        kept += sorted({min(numbers, key=itemgetter(1)), max(numbers, key=itemgetter(1))})
    return [*kept, points[-1]]
