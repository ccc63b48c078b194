"""Text of a file: its compression and its encoding are found from its bytes."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

PIECE = 2**20  # bytes that are decompressed at once
SAMPLE = 4096  # bytes or characters by which text is recognized
BOMS = {  # the longer first: UTF-32's begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
OPENERS: dict[bytes, tuple[str, Callable[[BinaryIO], Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
ZIP = b"PK\x03\x04"
WORKBOOK, OTHER_SHEETS = "an Excel workbook", "a spreadsheet document"
OTHER_FORMATS = {
    b"\xd0\xcf\x11\xe0": WORKBOOK,
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x28\xb5\x2f\xfd": "a file compressed by Zstandard",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"PK\x05\x06": "an empty archive",
}
SAVE_AS = "save it as CSV in the program that wrote it"
DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError)  # the last: a password


@dataclass(frozen=True)
class TextFile:
    """The decoded text of a file, and how it was encoded."""

    text: str
    encoding: str
    compression: str
    fingerprint: str  # SHA-256 of the file's bytes


def read_text_file(path: Path, encoding: str = "auto") -> TextFile:
    """Reads a file of text, compressed or not.

    Args:
        encoding: a codec of Python; ``auto``: by the byte order mark, else UTF-16 or UTF-32 by their zero bytes, else
            UTF-8 if every byte fits, else cp1252, the Windows encoding of Western Europe.

    Raises:
        ValueError: a workbook, an archive of several files, bytes that are not text, a wrong ``encoding``, or more
            text than fits into memory.
    """
    _refuse_large(path.stat().st_size)
    packed = path.read_bytes()
    fingerprint = sha256(packed).hexdigest()
    data, compression = _decompressed(packed)
    for magic, kind in OTHER_FORMATS.items():
        if data.startswith(magic):
            raise ValueError(f"expected a text file; got {kind}: {SAVE_AS}")
    encoding = _encoding(data) if encoding == "auto" else encoding
    text = _decoded(data, encoding).removeprefix("\ufeff")
    _refuse_other_text(text[:SAMPLE] + "\0" * ("\0" in text))
    return TextFile(text, encoding, compression, fingerprint)


def largest_text() -> int:
    """Returns how many bytes of text can be read: a tenth of the memory, because each cell becomes an object."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10
    except (AttributeError, ValueError, OSError):  # Windows
        return 2**30


def _refuse_large(size: int) -> None:
    if size > largest_text():
        raise ValueError(
            f"expected at most {largest_text() / 2**30:.2g} GiB of text, a tenth of this machine's memory; got more: "
            "keep fewer rows or columns"
        )


def _decompressed(data: bytes) -> tuple[bytes | bytearray, str]:
    if data.startswith(ZIP):
        return _unzipped(data), "zip"
    for magic, (name, opened) in OPENERS.items():
        if data.startswith(magic):
            try:
                with opened(io.BytesIO(data)) as file:
                    return _read_in_pieces(file), name
            except DAMAGED as error:
                raise ValueError(f"expected a whole {name} file; {error}") from None
    return data, ""


def _unzipped(data: bytes) -> bytearray:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__")]
            names = {each.filename for each in files}
            if any(name.startswith("xl/") for name in names) or "content.xml" in names:
                kind = OTHER_SHEETS if "content.xml" in names else WORKBOOK
                raise ValueError(f"expected a text file; got {kind}: {SAVE_AS}")
            if len(files) != 1:
                raise ValueError(f"expected an archive of one file; got {len(files)}: unpack the one that is meant")
            _refuse_large(files[0].file_size)
            with archive.open(files[0]) as file:
                return _read_in_pieces(file)  # type: ignore[arg-type]
    except DAMAGED as error:
        raise ValueError(f"expected a whole zip file; {error}") from None


def _read_in_pieces(file: BinaryIO) -> bytearray:
    """Reads a compressed file, and stops where its text is too large: it may say too small a size, or none."""
    data = bytearray()
    while piece := file.read(PIECE):
        _refuse_large(len(data) + len(piece))
        data += piece
    return data


def _encoding(data: bytes | bytearray) -> str:
    for mark, encoding in BOMS.items():
        if data.startswith(mark):
            return encoding
    if wide := _wide_encoding(data[:SAMPLE]):
        return wide
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        # cp1252 leaves five bytes undefined; latin-1 has a character for each.
        return "latin-1" if set(data) & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "cp1252"
    return "utf-8"


def _wide_encoding(sample: bytes | bytearray) -> str:
    """Returns the encoding of two or four bytes per character that has its zero bytes where ``sample`` has them."""
    zeros = [sample[at::4].count(0) / max(1, len(sample[at::4])) for at in range(4)]
    places = {"utf-32-le": (2, 3), "utf-32-be": (0, 1), "utf-16-le": (1, 3), "utf-16-be": (0, 2)}
    if max(zeros) < 0.5:
        return ""
    return max(places, key=lambda name: sum(zeros[at] for at in places[name]))


def _decoded(data: bytes | bytearray, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"expected text in {encoding}; byte {error.start} is {data[error.start]:#04x}") from None
    except (LookupError, ValueError):
        raise ValueError(f"data.encoding: expected a codec such as utf-8, cp1252 or utf-16; got {encoding!r}") from None


def _refuse_other_text(sample: str) -> None:
    controls = sum(character < " " and not character.isspace() for character in sample)
    if "\0" in sample or controls > len(sample) / 50:
        raise ValueError("expected a text file; got bytes that are no text")
    if sample.lstrip()[:15].casefold().startswith(("<!doctype html", "<html")):
        raise ValueError("expected a text file of separated cells; got a web page: download the file itself")
