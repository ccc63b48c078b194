"""The page Troubleshooting quotes what is really printed, and what it advises runs."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn
from torch.nn import functional as F

from tests.conftest import CONF, ROOT
from tests.pages import blocks

FILE = ROOT / "docs/guides/troubleshooting.md"
PAGE = FILE.read_text()
GAP = "…"


def quoted(title: str) -> list[str]:
    """The first cells of the table under a heading, without their backquotes."""
    section = PAGE.partition(f"### {title}\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


@cache
def written() -> str:
    """Every string in the source, with a gap in place of each value of an f-string."""
    trees = [ast.parse(file.read_text()) for file in (ROOT / "src").rglob("*.py")]
    return "\n".join(text(node) for tree in trees for node in ast.walk(tree))


def text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) if isinstance(part, ast.Constant) else GAP for part in node.values)
    return ""


def parts(line: str) -> Iterator[str]:
    yield from (part.strip(" :;.,") for part in line.split(GAP) if part.strip(" :;.,"))


@pytest.mark.parametrize("line", quoted("Of gradvitals"))
def test_our_lines_are_in_the_source(line):
    pattern = ".*?".join(re.escape(part) for part in parts(line))
    assert re.search(pattern, written()), line


def test_a_line_that_is_not_in_the_source_is_found():
    assert not re.search(re.escape(next(parts("…: no such thing; expected …"))), written())


COMMANDS = [line for lines in blocks(FILE, "bash") for line in lines.splitlines() if line.strip()]
COMMANDS += re.findall(r"`(python src/\S+\.py [^`]*=[^`]*)`", PAGE)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_commands_compose(command):
    _, script, *words = shlex.split(command)
    assert (ROOT / script).is_file()
    job = "train" if script.endswith("train.py") else script.removeprefix("src/").removesuffix(".py")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        compose(job, words)


def settings() -> list[str]:
    """What the text names as KEY=VALUE outside of commands, placeholders in capitals excepted."""
    named = re.findall(r"`((?:[a-z_.]+=[\w.,\[\]-]+ ?)+)`", PAGE.replace("…", "1"))
    keys = {f"{group.name}=" for group in CONF.iterdir() if group.is_dir()} | {"data.", "monitor.", "trainer.", "clip."}
    return sorted({w for w in named if w.startswith(tuple(keys)) and "COLUMN" not in w and "FILE" not in w})


@pytest.mark.parametrize("words", settings())
def test_settings_compose(words):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        compose("train", words.split())


def test_there_are_settings_to_compose():
    assert {"model=bn", "clip=norm clip.val=1", "trainer.precision=bf16-mixed"} <= set(settings())


def test_the_python_runs(monkeypatch):
    """All blocks one after the other, as a reader has them: with a model, its optimizer, a loss and batches."""
    import matplotlib

    matplotlib.use("agg")
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    batches = [(torch.randn(16, 4), torch.randint(3, (16,))) for _ in range(20)]
    names: dict[str, Any] = {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "criterion": nn.CrossEntropyLoss(),
        "batches": batches,
    }
    for code in blocks(FILE, "python"):
        exec(compile(code, "troubleshooting.md", "exec"), names)
    assert names["vitals"].measured_steps == (0, 9)  # the first ten
    assert names["found"].loss_expected == pytest.approx(1.0986, abs=1e-4)


def in_place() -> None:
    h = LAYER(torch.ones(2, 4)).sigmoid()
    h += 1
    h.sum().backward()


def twice() -> None:
    loss = LAYER(torch.ones(2, 4)).tanh().sum()
    loss.backward()
    loss.backward()


LAYER = nn.Linear(4, 3)
SCORES = torch.zeros(2, 3)
OF_TORCH: dict[str, Callable[[], Any]] = {
    "mat1 and mat2 shapes cannot be multiplied": lambda: LAYER(torch.ones(2, 5)),
    "mat1 and mat2 must have the same dtype": lambda: LAYER(torch.ones(2, 4).double()),
    "Expected more than 1 value per channel when training": lambda: nn.BatchNorm1d(3)(torch.ones(1, 3)),
    "element 0 of tensors does not require grad": lambda: torch.ones(1).sum().backward(),
    "Trying to backward through the graph a second time": twice,
    "modified by an inplace operation": in_place,
    "Target 3 is out of bounds": lambda: F.cross_entropy(SCORES, torch.tensor([0, 3])),
    "expected target dtype to be Long or Byte, but got Float": lambda: F.cross_entropy(SCORES, torch.ones(2)),
    "multi-target not supported": lambda: F.cross_entropy(SCORES, torch.tensor([[0], [1]])),
    "all elements of input should be between 0 and 1": lambda: F.binary_cross_entropy(SCORES - 1, SCORES),
    "Using a target size": lambda: F.mse_loss(torch.ones(2, 1), torch.ones(2)),
    "size mismatch for": lambda: LAYER.load_state_dict(nn.Linear(4, 2).state_dict()),
    "optimizer got an empty parameter list": lambda: torch.optim.SGD([], lr=0.1),
    "Tensor on device cpu is not on the expected device": lambda: LAYER(torch.ones(2, 4, device="meta")),
}


@pytest.mark.parametrize("words", OF_TORCH)
def test_words_of_torch(words):
    assert words in quoted("Of torch, Lightning and Hydra")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((RuntimeError, ValueError, IndexError, UserWarning), match=re.escape(words)):
            OF_TORCH[words]()
