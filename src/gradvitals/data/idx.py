"""The files of MNIST: a header that says what is in them, checked against what is.

An IDX file is two zero bytes, the type of the numbers (8: bytes), the number of axes, the length of each axis in four
bytes (most significant first), and the numbers. torchvision reads what it is given; a file that was cut, or is another
one, ends in an assertion there, or in images with other images' labels.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

REMEDY = "Delete it, and data.download=true fetches it anew"
GZIP = b"\x1f\x8b"


def check_pair(folder: Path, part: str, num_classes: int = 10) -> None:
    """Refuse damaged images and labels; files that are missing are passed over.

    Args:
        folder: where they lie.
        part: ``train`` or ``t10k``.
        num_classes: labels are below it.

    Raises:
        ValueError: with the file, what was expected of it and what it holds.
    """
    images, labels = folder / f"{part}-images-idx3-ubyte", folder / f"{part}-labels-idx1-ubyte"
    if not (images.is_file() and labels.is_file()):
        return
    shape, (num_labels,) = _shape(images, axes=3), _shape(labels, axes=1)
    if num_labels != shape[0]:
        raise ValueError(f"{labels}: expected a label for each of {shape[0]} images; got {num_labels}. {REMEDY}")
    numbers = np.fromfile(labels, np.uint8, offset=8)
    if (wrong := numbers >= num_classes).any():
        place = int(wrong.argmax())
        found = f"{numbers[place]} as label {place}"
        raise ValueError(f"{labels}: expected labels from 0 to {num_classes - 1}; got {found}. {REMEDY}")


def _shape(file: Path, axes: int) -> tuple[int, ...]:
    """The length of each axis, if the file is as long as they say."""
    with file.open("rb") as content:
        magic, lengths = content.read(4), content.read(4 * axes)
    wanted = bytes([0, 0, 8, axes])
    if magic != wanted or len(lengths) < 4 * axes:
        found = "a gzip file: unpack it by gunzip" if magic[:2] == GZIP else f"{magic.hex(' ') or 'nothing'}"
        raise ValueError(
            f"{file}: expected an IDX file of bytes, which begins {wanted.hex(' ')}; got {found}. {REMEDY}"
        )
    shape = struct.unpack(f">{axes}I", lengths)
    size, has = 4 + 4 * axes + math.prod(shape), file.stat().st_size
    if size != has or not math.prod(shape):
        told = " x ".join(map(str, shape))
        raise ValueError(
            f"{file}: expected {size} bytes and some data, as its header says ({told}); got {has} bytes. {REMEDY}"
        )
    return shape
