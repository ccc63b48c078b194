"""Checks MNIST's IDX files against their headers.

An IDX file contains two zero bytes, the data type (8: bytes), the number of axes, the length of each axis in four
bytes (most significant first), and the data. torchvision does not check it: a truncated or wrong file fails an
assertion, or gives images the labels of other images.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

REMEDY = "Delete it, and data.download=true downloads it again"
GZIP = b"\x1f\x8b"
NUM_CLASSES = 10


def check_pair(folder: Path, part: str) -> None:
    """Raises if the files of images and labels are damaged; missing files are ignored.

    Args:
        part: ``train`` or ``t10k``.

    Raises:
        ValueError: a file is damaged; the message names it, what was expected and what it contains.
    """
    images, labels = folder / f"{part}-images-idx3-ubyte", folder / f"{part}-labels-idx1-ubyte"
    if not (images.is_file() and labels.is_file()):
        return
    shape, (num_labels,) = _shape(images, axes=3), _shape(labels, axes=1)
    if num_labels != shape[0]:
        raise ValueError(f"{labels}: expected a label for each of {shape[0]} images; got {num_labels}. {REMEDY}")
    numbers = np.fromfile(labels, np.uint8, offset=8)
    if (wrong := numbers >= NUM_CLASSES).any():
        place = int(wrong.argmax())
        found = f"{numbers[place]} as label {place}"
        raise ValueError(f"{labels}: expected labels from 0 to {NUM_CLASSES - 1}; got {found}. {REMEDY}")


def _shape(file: Path, axes: int) -> tuple[int, ...]:
    with file.open("rb") as content:
        magic, lengths = content.read(4), content.read(4 * axes)
    wanted = bytes([0, 0, 8, axes])
    if magic != wanted or len(lengths) < 4 * axes:
        found = "a gzip file: unpack it with gunzip" if magic[:2] == GZIP else magic.hex(" ") or "nothing"
        raise ValueError(
            f"{file}: expected an IDX file of bytes, which begins {wanted.hex(' ')}; got {found}. {REMEDY}"
        )
    shape = struct.unpack(f">{axes}I", lengths)
    size, has = 4 + 4 * axes + math.prod(shape), file.stat().st_size
    if size != has or not math.prod(shape):
        axes_in_header = " x ".join(map(str, shape))
        raise ValueError(
            f"{file}: expected {size} bytes with data, from its header ({axes_in_header}); got {has} bytes. {REMEDY}"
        )
    return shape
