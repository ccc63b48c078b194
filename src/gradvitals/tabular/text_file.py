"""Text of a file: its compression and its encoding are found from its bytes."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

LARGEST = 4 * 2**30  # bytes of a decompressed file; more is taken for a decompression bomb
BOMS = {  # the longer first: UTF-32's begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
OPENERS = {b"\x1f\x8b": ("gzip", gzip.open), b"BZh": ("bzip2", bz2.open), b"\xfd7zXZ\x00": ("xz", lzma.open)}
ZIP = b"PK\x03\x04"
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
SAVE_AS = "save it as CSV in the program that wrote it"


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
        encoding: a codec of Python; ``auto``: by the byte order mark, else UTF-16 by its zero bytes, else UTF-8 if
            every byte fits, else cp1252, the Windows encoding of Western Europe.

    Raises:
        ValueError: a workbook, an archive of several files, bytes that are not text, or a wrong ``encoding``.
    """
    data = path.read_bytes()
    fingerprint = sha256(data).hexdigest()
    if data.startswith(OLD_EXCEL):
        raise ValueError(f"expected a text file; got an Excel workbook: {SAVE_AS}")
    data, compression = _decompressed(data)
    encoding = _encoding(data) if encoding == "auto" else encoding
    try:
        text = data.decode(encoding)
    except LookupError:
        raise ValueError(f"data.encoding: expected a codec such as utf-8, cp1252 or utf-16; got {encoding!r}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"expected text in {encoding}; byte {error.start} is {data[error.start]:#04x}") from None
    if "\0" in text:
        raise ValueError("expected a text file; got bytes that are no text")
    return TextFile(text.removeprefix("\ufeff"), encoding, compression, fingerprint)


def _decompressed(data: bytes) -> tuple[bytes, str]:
    if data.startswith(ZIP):
        return _unzipped(data), "zip"
    for magic, (name, opened) in OPENERS.items():
        if data.startswith(magic):
            try:
                with opened(io.BytesIO(data)) as file:
                    return _at_most(file.read(LARGEST + 1)), name
            except (OSError, EOFError, lzma.LZMAError) as error:
                raise ValueError(f"expected a whole {name} file; {error}") from None
    return data, ""


def _unzipped(data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
            if any(name.startswith("xl/") for name in names):
                raise ValueError(f"expected a text file; got an Excel workbook: {SAVE_AS}")
            if len(names) != 1:
                raise ValueError(f"expected an archive of one file; got {len(names)}: unpack the one that is meant")
            with archive.open(names[0]) as file:
                return _at_most(file.read(LARGEST + 1))
    except (zipfile.BadZipFile, RuntimeError) as error:  # RuntimeError: it needs a password
        raise ValueError(f"expected a whole zip file; {error}") from None


def _at_most(data: bytes) -> bytes:
    if len(data) > LARGEST:
        raise ValueError(f"expected at most {LARGEST >> 30} GiB when decompressed")
    return data


def _encoding(data: bytes) -> str:
    for mark, encoding in BOMS.items():
        if data.startswith(mark):
            return encoding
    sample = data[:4096]
    if sample.count(0) > len(sample) / 4:
        return "utf-16-le" if sample[1::2].count(0) >= sample[::2].count(0) else "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        # cp1252 leaves five bytes undefined; latin-1 has a character for each.
        return "latin-1" if set(data) & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "cp1252"
    return "utf-8"
