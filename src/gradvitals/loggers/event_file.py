"""Checksums of TensorBoard's event files, at the speed of C.

TensorBoard computes the checksum of each record in pure Python: 3 ms for an event of 200 values, a quarter of a small
network's step, in a thread that has the interpreter's lock meanwhile.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import Any

import google_crc32c


def speed_up(writer: Any) -> None:
    """Lets a ``torch.utils.tensorboard.FileWriter`` compute its checksums by a library; the bytes are the same.

    A writer of an unknown version is not changed.
    """
    records = records_of(writer)
    if hasattr(records, "_writer") and "write" not in vars(records):
        records.write = partial(_write, records._writer)


def records_of(writer: Any) -> Any:
    """Returns the record writer of a TensorBoard file writer's thread; None for an unknown version."""
    queue = getattr(getattr(writer, "event_writer", None), "_async_writer", None)
    return getattr(queue, "_writer", None)


def _write(file: Any, data: bytes) -> None:
    length = struct.pack("<Q", len(data))
    file.write(length + _checksum(length) + data + _checksum(data))


def _checksum(data: bytes) -> bytes:
    """Returns the CRC-32C, rotated and shifted as the file format defines."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
