"""Malformed data: each file trains two steps on numbers that are finite, or ends in one line that says what is wrong."""

from __future__ import annotations

import gzip
import random
import re
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Trainer

from gradvitals.app.config.error_messages import HINT, explain
from gradvitals.app.run.build_data import describe
from gradvitals.classifier import Classifier
from gradvitals.data.csv import Csv
from gradvitals.data.dataset_splits import Splits
from gradvitals.data.images import Images
from gradvitals.data.tensors import TensorDataModule
from gradvitals.tabular.splits import split_rows
from tests.faults.as_typed import run
from tests.faults.damaged_tables import DAMAGES, ROWS, drawn, joined, whole
from tests.faults.files import verdict, write_idx

TABLES = {"three of each kind": range(3 * len(DAMAGES)), "more": range(3 * len(DAMAGES), 200)}
MLP = {"_target_": "gradvitals.nets.mlp.MLP", "depth": 1, "width": 4}
IDX = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def trained(data: TensorDataModule) -> None:
    """Two steps on what a file holds."""
    assert all_finite(data.loaded)
    model = Classifier(dict(MLP), **asdict(describe(data)))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, about few batches
        Trainer(accelerator="cpu", fast_dev_run=2, **quiet).fit(model, datamodule=data)


def all_finite(splits: Splits) -> bool:
    return all(bool(t.isfinite().all()) for part in (splits.train, splits.val, splits.test) for t in (part.x, part.y))


def trouble(data: TensorDataModule, name: str) -> str | None:
    """What is wrong with how a file was taken; None: it trains, or is refused in one line that names it."""
    try:
        trained(data)
    except (ValueError, OSError) as error:
        words = explain(error)
        fits = len(words) < 800 and HINT not in words and words.startswith(("data", name)) and "expected" in words
        return None if fits else words[:300]
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return None


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("part", ["three of each kind", pytest.param("more", marks=pytest.mark.slow)])
def test_malformed_tables(tmp_path: Path, tally, part):
    file, found = tmp_path / "table.csv", {}
    for seed in TABLES[part]:
        kind, content = drawn(seed)
        file.write_bytes(content)
        if wrong := trouble(Csv(str(file), "y", batch_size=16), str(file)):
            found[seed, kind] = wrong
    print(*found.items(), sep="\n")
    tally(f"malformed CSV, {part}", tried=len(TABLES[part]), survived=len(TABLES[part]) - len(found))


def test_malformed_tables_on_the_command_line(tmp_path: Path, tally):
    survived = 0
    seeds = (0, 2, 8, 12, 18)
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "t.csv").write_bytes(drawn(seed)[1])
        ended = run(["data=csv", "data.path=t.csv", "data.target=y", "trainer.max_steps=2", "report=false"], folder)
        survived += verdict(ended, folder, {folder / "t.csv"}) is None
    tally("malformed CSV, typed", tried=len(seeds), survived=survived)


@pytest.mark.parametrize("value", ["inf", "-inf", "1e999"])
@pytest.mark.parametrize("column", ["x", "n", "y"])
def test_an_infinite_number_is_named(tmp_path: Path, column, value):
    rows = whole(random.Random(0))
    rows[7][rows[0].index(column)] = value
    (tmp_path / "t.csv").write_bytes(joined(rows))
    with pytest.raises(ValueError, match="expected numbers below 1e38") as caught:
        Csv(str(tmp_path / "t.csv"), "y").loaded
    assert re.search(rf"\b{column}\b.*got '?{value}'? in line 8", str(caught.value))


def test_columns_of_one_name_are_told(tmp_path: Path):
    for header in (["y", "n", "word", "y"], ["x", "x ", "word", "y"]):
        (tmp_path / "t.csv").write_bytes(joined([header, *whole(random.Random(0))[1:]]))
        data = Csv(str(tmp_path / "t.csv"), "y")
        data.setup()
        assert any("twice" in remark.text for remark in data.description.remarks)
        assert f"{header[0]}.1" in [column.name for column in data.description.columns]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Sixty training and twenty test images in MNIST's format."""
    rng, folder = np.random.default_rng(0), tmp_path / "MNIST/raw"
    for part, rows in (("train", 60), ("t10k", 20)):
        write_idx(folder / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (rows, 8, 8)))
        write_idx(folder / f"{part}-labels-idx1-ubyte", np.arange(rows) % 10)
    return folder


def tiny(folder: Path) -> Images:
    return Images("MNIST", str(folder.parents[1]), download=False, num_val=20)


def damages(content: bytes, labels: bool) -> list[bytes]:
    """Cut at many lengths, lengthened, packed, with another header, or random."""
    draw = random.Random(0)
    lengths = [0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 40, 1000, len(content) // 2, len(content) - 1]
    cuts = [content[:length] for length in lengths if length < len(content)]
    flipped = [content[:i] + bytes([content[i] ^ 0x55]) + content[i + 1 :] for i in range(8 if labels else 16)]
    others = [content + b"\0", gzip.compress(content), draw.randbytes(len(content)), draw.randbytes(5), b"\0" * 100]
    none = content[:4] + b"\0\0\0\0" + content[8 : 8 if labels else 16]
    fewer = content[:4] + (19).to_bytes(4, "big") + content[8 : 8 if labels else 16]
    fewer += bytes(19 if labels else 19 * 64)
    wrong = [content[:8] + b"\x0a" + content[9:], content[:-1] + b"\xff"] if labels else []
    return [*cuts, *flipped, *others, none, fewer, *wrong]


def test_damaged_images_are_named(images: Path, tally):
    trained(tiny(images))
    tried, found = 0, []
    for name in IDX:
        file, whole_content = images / name, (images / name).read_bytes()
        for content in damages(whole_content, labels="labels" in name):
            file.write_bytes(content)
            tried += 1
            folder = str(images)
            with pytest.raises(ValueError, match="expected") as refused:
                tiny(images).loaded
            if not str(refused.value).startswith(folder):
                found.append((name, content[:20], str(refused.value)))
        file.write_bytes(whole_content)
    print(*found, sep="\n")
    tally("damaged IDX files", tried=tried, survived=tried - len(found))


def test_damaged_cifar_is_named(tmp_path: Path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("data_batch_1", "data_batch_2"):
        (folder / name).write_bytes(b"\x80\x04garbage")  # never unpickled: its sum is not the published one
    with pytest.raises(FileNotFoundError, match=r"CIFAR10: expected .*damaged: data_batch_1, data_batch_2"):
        Images("CIFAR10", str(tmp_path), download=False).loaded


def test_a_folder_for_a_file(tmp_path: Path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(FileNotFoundError, match="data.path: expected a CSV file"):
        Csv(str(tmp_path / "t.csv"), "y").loaded


def test_a_number_that_is_too_large_once_scaled_is_named(tmp_path: Path):
    y = np.arange(ROWS) % 2
    row = split_rows(y)[2][0]
    lines = [["x", "y"], *([f"{i / 1000}", str(i % 2)] for i in range(ROWS))]
    lines[row + 1][0] = "1e38"
    (tmp_path / "t.csv").write_bytes(joined(lines))
    with pytest.raises(ValueError, match=rf"below 1e38 when scaled in column 'x'; got 1e38 in line {row + 2}"):
        Csv(str(tmp_path / "t.csv"), "y").loaded


def test_numbers_at_the_edge_of_float32_are_finite(tmp_path: Path):
    rows = [["x", "y"], *([str(x), str(i % 2)] for i, x in enumerate([3e38, -3e38, 1e-320, 0] * 15))]
    (tmp_path / "t.csv").write_bytes(joined(rows))
    assert all_finite(Csv(str(tmp_path / "t.csv"), "y").loaded)
    assert torch.isfinite(Csv(str(tmp_path / "t.csv"), "y", scaling="raw").loaded.train.x).all()
