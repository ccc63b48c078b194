"""TensorBoard's event files: many numbers in one event, checksums by a library, and a full disk."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from io import FileIO
from itertools import pairwise
from threading import Lock
from typing import Any

from gradvitals.loggers.destination import Destination
from gradvitals.vitals import Histogram


class EventFile(Destination):
    """What a ``torch.utils.tensorboard.SummaryWriter`` writes.

    Args:
        is_ours: whether gradvitals has opened it: each step is then in the file at once, and it is closed at the end.
    """

    def __init__(self, writer: Any, is_ours: bool = False) -> None:
        self.writer, self._is_ours = writer, is_ours

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Writes one event with many values; one event for each would cost half a training step."""
        summary = _summary(tuple(values))
        for place, number in zip(summary.value, values.values(), strict=True):
            place.simple_value = number
        speed_up(self.writer._get_file_writer())
        self._add(summary, step)

    def text(self, tag: str, text: str, step: int) -> None:
        from torch.utils.tensorboard.summary import text as summary_of

        summary = summary_of(tag, text)
        summary.value[0].tag = tag  # torch's own ends with /text_summary
        self._add(summary, step)

    def picture(self, tag: str, png: bytes, step: int) -> None:
        """Writes a PNG without decoding it."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = struct.unpack(">II", png[16:24])  # where the format has them
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        self._add(Summary(value=[Summary.Value(tag=tag, image=image)]), step)

    def histograms(self, histograms: Mapping[str, Histogram], step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, histo=_proto(found)) for tag, found in histograms.items()]
        self._add(Summary(value=values), step)

    def layout(self, layout: Mapping[str, Mapping[str, list[Any]]]) -> None:
        from torch.utils.tensorboard.summary import custom_scalars

        self._add(custom_scalars(layout), None)

    def close(self) -> None:
        if self._is_ours:
            self.writer.close()
        else:
            self.writer.flush()

    def _add(self, summary: Any, step: int | None) -> None:
        self.writer._get_file_writer().add_summary(summary, step)
        if self._is_ours:
            self.writer.flush()


def _proto(found: Histogram) -> Any:
    from tensorboard.compat.proto.summary_pb2 import HistogramProto

    middles = [(low + high) / 2 for low, high in pairwise(found.edges)]
    return HistogramProto(
        min=found.edges[0],
        max=found.edges[-1],
        num=sum(found.counts),
        sum=sum(n * x for n, x in zip(found.counts, middles, strict=True)),
        sum_squares=sum(n * x * x for n, x in zip(found.counts, middles, strict=True)),
        bucket_limit=found.edges[1:],
        bucket=found.counts,
    )


@lru_cache(maxsize=16)
def _summary(tags: tuple[str, ...]) -> Any:
    """A summary to be filled in; to build one of 200 values takes five times as long."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag) for tag in tags])


def speed_up(writer: Any) -> None:
    """Lets a ``torch.utils.tensorboard.FileWriter`` compute its checksums by a library; the bytes are the same.

    TensorBoard computes the checksum of each record in pure Python: 3 ms for an event of 200 values, a quarter of a
    small network's step, in a thread that has the interpreter's lock meanwhile. A writer of an unknown version is not
    changed, and none is where google-crc32c is not installed.
    """
    records, crc32c = records_of(writer), _library()
    if crc32c and hasattr(records, "_writer") and "write" not in vars(records):
        records.write = partial(_write, records._writer, crc32c)


def records_of(writer: Any) -> Any:
    """Returns the record writer of a TensorBoard file writer's thread; None for an unknown version."""
    return getattr(_thread_of(writer), "_writer", None)


def _thread_of(writer: Any) -> Any:
    return getattr(getattr(writer, "event_writer", None), "_async_writer", None)


def write_at_once(writer: Any) -> None:
    """Lets a file writer write its records itself where it writes to a local disk: the file has each of them at once.

    TensorBoard's thread opens the file for each record, and to wake it takes the interpreter's lock from the training.

    Args:
        writer: a ``torch.utils.tensorboard.FileWriter``; one of an unknown version is not changed.
    """
    thread, records = _thread_of(writer), records_of(writer)
    file = getattr(getattr(writer, "event_writer", None), "_file_name", "")
    if records is not None and os.path.isfile(file):
        thread.flush()
        records._writer = _Appended(file)
        thread.write = lambda record: records.write(record)  # which others may replace later


class _Appended:
    """A file that each record is appended to at once, whole, also by several threads.

    A flush closes it until the next record: over a network file system, other machines then see what was written.
    """

    closed = False

    def __init__(self, path: str) -> None:
        self._path, self._lock = path, Lock()
        self._file: FileIO | None = None

    def write(self, record: bytes) -> None:
        with self._lock:
            file = self._file = self._file or FileIO(self._path, "ab")
            if file.write(record) < len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self) -> None:
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    close = flush


def hold_errors_back(writer: Any, take: Callable[[OSError], None]) -> None:
    """Keeps errors of writing from the training; nothing is written after the first. Records are written at once.

    Args:
        writer: a ``torch.utils.tensorboard.FileWriter``; one of an unknown version is not changed.
        take: is called with the first error, where the records are not written at once in TensorBoard's thread.
    """
    write_at_once(writer)
    speed_up(writer)
    records: Any = records_of(writer)
    if records is None:
        return
    write, flush, broken = records.write, records.flush, False

    def guarded(do: Callable[..., None], *args: Any) -> None:
        nonlocal broken
        if broken:  # readers stop at an incomplete record
            return
        try:
            do(*args)
        except OSError as error:
            broken = True
            take(error)

    records.write, records.flush = partial(guarded, write), partial(guarded, flush)


@cache
def _library() -> Callable[[bytes], int] | None:
    try:
        import google_crc32c
    except ImportError:
        return None
    return google_crc32c.value


def _write(file: Any, crc32c: Callable[[bytes], int], data: bytes) -> None:
    length = struct.pack("<Q", len(data))
    file.write(length + _checksum(crc32c(length)) + data + _checksum(crc32c(data)))


def _checksum(crc: int) -> bytes:
    """Returns a CRC-32C, rotated and shifted as the file format defines."""
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
