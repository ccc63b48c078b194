"""Files of text: encodings, compression, and what is no text."""

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pytest

from gradvitals.tabular import text_file
from gradvitals.tabular.text_file import read_text_file
from tests.tabular.files import cells, loaded, written

TEXT = "größe;öl;y\n" + "".join(f"{at},5;ä{at % 2};{at}\n" for at in range(30))
READ = {
    "größe": [f"{at},5" for at in range(30)],
    "öl": [f"ä{at % 2}" for at in range(30)],
    "y": [str(at) for at in range(30)],
}


def zipped(*names: str, content: bytes = TEXT.encode()) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


ENCODED = {
    "UTF-8": TEXT.encode(),
    "UTF-8 with BOM": TEXT.encode("utf-8-sig"),
    "UTF-16 with BOM": TEXT.encode("utf-16"),
    "UTF-16 LE with BOM": "\ufeff".encode("utf-16-le") + TEXT.encode("utf-16-le"),
    "UTF-16 BE with BOM": "\ufeff".encode("utf-16-be") + TEXT.encode("utf-16-be"),
    "UTF-16 LE": TEXT.encode("utf-16-le"),
    "UTF-16 BE": TEXT.encode("utf-16-be"),
    "UTF-32 with BOM": TEXT.encode("utf-32"),
    "UTF-32 LE": TEXT.encode("utf-32-le"),
    "UTF-32 BE": TEXT.encode("utf-32-be"),
    "cp1252": TEXT.encode("cp1252"),
    "latin-1": TEXT.encode("latin-1"),
    "gzip": gzip.compress(TEXT.encode()),
    "gzip in two members": gzip.compress(TEXT[:40].encode()) + gzip.compress(TEXT[40:].encode()),
    "gzip of UTF-16": gzip.compress(TEXT.encode("utf-16")),
    "bzip2": bz2.compress(TEXT.encode("cp1252")),
    "xz": lzma.compress(TEXT.encode()),
    "zip": zipped("folder/table.csv"),
    "zip of a Mac": zipped("table.csv", "__MACOSX/._table.csv"),
    "BOM within, where files were joined": TEXT.replace("\n0,5", "\n\ufeff0,5").encode("utf-8-sig"),
}


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED)
def test_encoding_and_compression_are_found(tmp_path, data):
    assert cells(tmp_path, data) == READ


@pytest.mark.parametrize("encoding", ["cp1250", "utf-8", "utf-16-le", "utf-16", "mac-roman"])
def test_an_encoding_can_be_typed(tmp_path, encoding):
    assert cells(tmp_path, TEXT.encode(encoding), encoding=encoding) == READ


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TEXT.encode("utf-8-sig"), "UTF-8, separated by semicolon"),
        (TEXT.encode("utf-16"), "UTF-16, separated by semicolon"),
        (TEXT.encode("cp1252"), "cp1252, separated by semicolon"),
        (TEXT.encode("latin-1") + b"\x81;1;30\n", "LATIN-1, separated by semicolon"),
        (gzip.compress(TEXT.encode()), "gzip, UTF-8, separated by semicolon"),
    ],
)
def test_what_was_found_is_said(tmp_path, data, said):
    data = loaded(tmp_path, data, drop=["größe"])
    assert data.description is not None
    assert data.description.written == said


def array_file() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(100.0))
    return file.getvalue()


REFUSED = {
    "xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "got an Excel workbook: save it as CSV"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "got an Excel workbook: save it as CSV"),
    "ods": (zipped("mimetype", "content.xml", "styles.xml"), "got a spreadsheet document: save it as CSV"),
    "parquet": (b"PAR1\x15\x04\x15" + bytes(50) + b"PAR1", "got a Parquet file"),
    "npy": (array_file(), "got a NumPy array"),
    "sqlite": (b"SQLite format 3\0" + bytes(100), "got an SQLite database"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "got a PDF document"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24\x10\x81\x00", "got a file compressed by Zstandard"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "got a 7z archive"),
    "a gzipped workbook": (gzip.compress(b"\xd0\xcf\x11\xe0" + bytes(50)), "got an Excel workbook"),
    "random bytes": (np.random.default_rng(0).bytes(3000), "got bytes that are no text"),
    "random bytes without zeros": (np.random.default_rng(0).bytes(3000).replace(b"\0", b""), "got bytes that are no text"),
    "integers": (np.arange(500, dtype="<i8").tobytes(), "expected (a text file|text in)"),
    "web page": (b"\n<!DOCTYPE html><html><body>Not found</body></html>", "got a web page"),
    "two files": (zipped("a.csv", "b.csv"), "expected an archive of one file; got 2"),
    "no file": (zipped(), "got an empty archive"),
    "half a gzip": (gzip.compress(TEXT.encode())[:60], "expected a whole gzip file"),
    "damaged gzip": (gzip.compress(TEXT.encode())[:30] + b"\xff" * 40, "expected a whole gzip file"),
    "half a bzip2": (bz2.compress(TEXT.encode())[:60], "expected a whole bzip2 file"),
    "half an xz": (lzma.compress(TEXT.encode())[:80], "expected a whole xz file"),
    "half a zip": (zipped("a.csv")[:80], "expected a whole zip file"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_text_is_refused_in_one_line(tmp_path, data, words):
    with pytest.raises(ValueError, match=words) as error:
        cells(tmp_path, data)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("data.path=")


@pytest.mark.parametrize("encoding", ["utf-99", "rot13", "base64", "zlib", "a\0b"])
def test_a_wrong_codec_is_refused(tmp_path, encoding):
    with pytest.raises(ValueError, match=r"data.encoding: expected a codec such as utf-8, cp1252 or utf-16; got"):
        cells(tmp_path, TEXT, encoding=encoding)


def test_a_typed_encoding_that_does_not_fit_says_the_byte(tmp_path):
    with pytest.raises(ValueError, match="expected text in utf-8; byte 2 is 0xf6"):
        cells(tmp_path, TEXT.encode("cp1252"), encoding="utf-8")


COMPRESSED = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda data: zipped("a.csv", content=data),
    "gzip level 1": lambda data: gzip.compress(data, 1),
}


@pytest.mark.parametrize("compress", COMPRESSED.values(), ids=COMPRESSED)
def test_a_decompression_bomb_is_refused_when_it_is_too_large(tmp_path, monkeypatch, compress):
    # 64 MiB of text in a few KiB, where 8 MiB are allowed: no more than 9 pieces of 1 MiB may be read.
    bomb = compress(b"1,2\n" * 2**24)
    taken = []
    monkeypatch.setattr(text_file, "largest_text", lambda: 2**23)
    monkeypatch.setattr(
        text_file, "_refuse_large", lambda size, refuse=text_file._refuse_large: (taken.append(size), refuse(size))
    )
    with pytest.raises(
        ValueError, match=r"expected at most 0.0078 GiB of text, a tenth of this machine's memory; got more"
    ):
        read_text_file(tmp_path / written(tmp_path, bomb))
    assert len(taken) <= 10


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / written(tmp_path, TEXT)
    monkeypatch.setattr(text_file, "largest_text", lambda: 10)
    monkeypatch.setattr(type(path), "read_bytes", lambda self: pytest.fail("was read"))
    with pytest.raises(ValueError, match="expected at most"):
        read_text_file(path)


def test_the_limit_is_a_tenth_of_the_memory(monkeypatch):
    monkeypatch.setattr(text_file.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**21}.get)  # 8 GiB
    assert text_file.largest_text() == 2**33 // 10
