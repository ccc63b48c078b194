"""Checkpoints that are cut off, changed, of something else or incomplete: one line each, or the run survives."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gradvitals.app.commands.evaluate import evaluate
from gradvitals.app.commands.export import export
from gradvitals.app.config.error_messages import explain
from gradvitals.checkpoints.compare import check_resumable, load_weights, rebuild
from gradvitals.checkpoints.read import read
from gradvitals.classifier import Classifier
from tests.faults import as_typed

SHORT = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "report=false", "model.width=4", "model.depth=1")
FLIPS = 200
GONE = object()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A small run that was trained as users do."""
    folder = tmp_path_factory.mktemp("trained")
    ended = as_typed.run([*SHORT, "hydra.run.dir=run"], folder)
    assert ended.code == 0, ended.err
    return folder / "run"


@pytest.fixture
def run_dir(trained, tmp_path) -> Path:
    """A copy of it to spoil, without the checkpoints before the last."""
    copied = Path(shutil.copytree(trained, tmp_path / "run"))
    for file in (copied / "checkpoints").glob("last-*.ckpt"):
        file.unlink()
    return copied


@pytest.fixture
def model(trained) -> Classifier:
    return rebuild(trained / "checkpoints/best.ckpt", "checkpoint")


def told(call: Callable[[], object]) -> bool:
    """Whether a call is refused in one line that names the file; an error that is not meant for users is none."""
    try:
        call()
    except (ValueError, FileNotFoundError) as error:
        return "\n" not in explain(error) and ".ckpt" in explain(error)
    return False


def routes(model: Classifier, run_dir: Path) -> list[Callable[[], object]]:
    """The ways of a checkpoint into a process."""
    file = run_dir / "checkpoints/best.ckpt"
    return [
        lambda: load_weights(model, file),
        lambda: check_resumable(model, file, train=True),
        lambda: evaluate(run_dir),
        lambda: export(run_dir),
    ]


def in_one_line(ended: as_typed.Ended) -> bool:
    """What Lightning refuses while it restores comes after the line that names the run directory."""
    error = re.sub(r"^run          \S+\n", "", ended.err)
    return ended.code == 1 and error.startswith("gradvitals: ") and error.strip().count("\n") == 0


def cut_off(content: bytes) -> Iterator[bytes]:
    yield from (content[: len(content) * tenth // 10] for tenth in range(10))
    yield content[:-1]


def flipped(content: bytes) -> Iterator[bytes]:
    """One bit changed, in places all over the file."""
    draw = random.Random(0)
    for place in (i * len(content) // FLIPS + draw.randrange(len(content) // FLIPS) for i in range(FLIPS)):
        yield content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def overwritten(content: bytes) -> Iterator[bytes]:
    yield from (b"", bytes(len(content)), b"no checkpoint", b"PK\x03\x04", b"\x80\x02.", b"\x89PNG\r\n\x1a\n" * 9)
    yield content[: len(content) // 2] + bytes(len(content) - len(content) // 2)
    yield content[len(content) // 2 :]


def test_cut_off_or_overwritten(tally, run_dir, model):
    file = run_dir / "checkpoints/best.ckpt"
    whole = file.read_bytes()
    tried = survived = 0
    for damaged in (*cut_off(whole), *overwritten(whole)):
        file.write_bytes(damaged)
        results = [told(call) for call in routes(model, run_dir)]
        tried, survived = tried + len(results), survived + sum(results)
    tally("checkpoint cut off or overwritten", tried, survived)


def test_flipped_bits(tally, run_dir, model, trained):
    """Refused, or the same numbers: no bit of a weight changes unseen."""
    file = run_dir / "checkpoints/best.ckpt"
    whole, state = file.read_bytes(), read(file, "weights")["state_dict"]
    survived = 0
    for damaged in flipped(whole):
        file.write_bytes(damaged)
        survived += told(lambda: read(file, "weights")) or _same(read(file, "weights")["state_dict"], state)
    tally("checkpoint with a flipped bit", FLIPS, survived)


def test_a_member_that_seems_to_be_encrypted(run_dir):
    file = run_dir / "checkpoints/best.ckpt"
    content = bytearray(file.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] ^= 1  # the flag of the last member in the archive's directory
    file.write_bytes(content)
    assert told(lambda: read(file, "weights"))


def _same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in other)


def test_no_files(tally, run_dir, model, tmp_path):
    folder = tmp_path / "a.ckpt"
    folder.mkdir()
    tried = (folder, tmp_path / "none.ckpt")
    survived = sum(told(lambda: load_weights(model, path)) for path in tried)  # noqa: B023
    survived += sum(told(lambda: check_resumable(model, path, train=False)) for path in tried)  # noqa: B023
    tally("checkpoint that is none", 4, survived)


def spoilt(content: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint with some of its keys changed, or gone."""
    return {key: value for key, value in (content | changes).items() if value is not GONE}


NEVER = [  # told whatever it is wanted for
    *({key: GONE} for key in ("state_dict", "global_step")),
    *({"state_dict": value} for value in (None, [], "weights", 3, torch.zeros(2))),
    *({"global_step": value} for value in ("80", None, 1.5, [], torch.tensor(3))),
]
NOT_TO_CONTINUE = [
    *({"epoch": value} for value in (GONE, "1")),
    *({key: GONE} for key in ("loops", "optimizer_states", "lr_schedulers", "pytorch-lightning_version")),
    *({"loops": value} for value in (None, [], "loops")),
    *(
        {"optimizer_states": value}
        for value in (None, {}, "states", ["state"], [{}], [{"state": 1, "param_groups": []}])
    ),
    *({"loops": {"fit_loop": value}} for value in (None, "state", 3)),
    *({"callbacks": value} for value in (GONE, None, "none")),
]
NOT_TO_REBUILD = [
    {"hyper_parameters": GONE},
    *(
        {"hyper_parameters": value}
        for value in (None, [], "none", {}, {"model": 3, "in_features": 1, "num_classes": 1})
    ),
]


def test_incomplete(tally, run_dir, model):
    file = run_dir / "checkpoints/best.ckpt"
    content = torch.load(file, weights_only=True)
    weights, continues, tests, exports = routes(model, run_dir)
    wanted = [
        (NEVER, (weights, continues, tests, exports)),
        (NOT_TO_CONTINUE, (continues,)),
        (NOT_TO_REBUILD, (tests,)),
    ]
    tried = survived = 0
    for changes, calls in wanted:
        for change in changes:
            torch.save(spoilt(content, change), file)
            results = [told(call) for call in calls]
            tried, survived = tried + len(results), survived + sum(results)
    for other in ([], "text", 3, torch.zeros(3), {"a": 1}):
        torch.save(other, file)
        results = [told(call) for call in routes(model, run_dir)]
        tried, survived = tried + len(results), survived + sum(results)
    tally("checkpoint with keys missing or of another kind", tried, survived)


def weights_spoilt(state: dict[str, torch.Tensor]) -> dict[str, dict[str, Any]]:
    """What may be wrong with weights, and the words for it."""
    first, *_, last = state
    nan = state[first].clone()
    nan[0] = float("nan")
    return {
        f"missing {first}": {name: value for name, value in state.items() if name != first},
        "unexpected net.more.weight": state | {"net.more.weight": torch.zeros(2)},
        f"other shapes {last} (3x1, expected": state | {last: torch.zeros(3, 1)},
        f"other shapes {last} (one number, expected": state | {last: torch.tensor(1.0)},
        f"other shapes {first} (a list, expected": state | {first: [1.0]},
        "not a number (NaN)": state | {first: nan},
        "missing net.layers.0.linear.weight, net.layers.0.linear.bias": {},
    }


def test_weights_of_another_network(tally, run_dir, model):
    file = run_dir / "checkpoints/best.ckpt"
    content = torch.load(file, weights_only=True)
    tried = survived = 0
    for words, state in weights_spoilt(content["state_dict"]).items():
        torch.save(content | {"state_dict": state}, file)
        for call in routes(model, run_dir)[:3]:
            with pytest.raises(ValueError, match=r"\.ckpt: expected") as error:
                call()
            tried, survived = tried + 1, survived + (words in explain(error.value))
    tally("checkpoint of another network", tried, survived)


def test_many_differences_are_counted():
    deep, flat = nn.Sequential(*[nn.Linear(2, 2) for _ in range(5)]), nn.Linear(2, 2)
    from gradvitals.checkpoints.compare import check_fits

    with pytest.raises(ValueError, match="same network") as error:
        check_fits(deep, flat.state_dict(), "weights=a.ckpt")
    assert str(error.value).endswith("missing 0.weight, 0.bias, 1.weight and 7 more; unexpected weight, bias")


DEEP = [  # what only Lightning looks at, while it restores
    {"loops": {"fit_loop": {}}},
    {"lr_schedulers": [{}]},
    {"callbacks": {"x": 1}},
    {"pytorch-lightning_version": "none"},
]


def test_typed(tally, run_dir, tmp_path):
    """The same by command lines: no traceback; what is refused leaves no run directory, and the run as it was."""
    file = run_dir / "checkpoints/last.ckpt"
    whole, content = file.read_bytes(), torch.load(file, weights_only=True)
    (run_dir / "result.json").unlink()
    tried = survived = 0
    damages: list[Callable[[], object]] = [
        lambda: file.write_bytes(whole[: len(whole) // 2]),
        lambda: torch.save(spoilt(content, {"optimizer_states": GONE}), file),
    ]
    damages += [lambda change=change: torch.save(content | change, file) for change in DEEP]  # type: ignore[misc]
    for damage in damages:
        damage()
        new = tmp_path / "new"
        ended = as_typed.run([f"ckpt_path={file}", *SHORT, "trainer.max_epochs=2", f"hydra.run.dir={new}"], tmp_path)
        survived += (in_one_line(ended) and not new.exists()) or (ended.code == 0 and "Traceback" not in ended.err)
        tried += 1
        shutil.rmtree(new, ignore_errors=True)
    for damaged in (file, file.with_name("best.ckpt")):  # weights=RUN_DIR takes the best
        damaged.write_bytes(whole[: len(whole) // 2])
    for words in ([f"resume={run_dir}"], [f"weights={run_dir}", *SHORT], [f"weights={file}", *SHORT]):
        survived += in_one_line(as_typed.run(words, tmp_path))
        tried += 1
    tally("checkpoint damaged, typed", tried, survived)


def test_safetensors(tally, run_dir, model, tmp_path):
    """The exported weights are those of the checkpoint, and are refused where they are damaged."""
    file = export(run_dir)
    state = torch.load(run_dir / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    for value in model.parameters():
        nn.init.zeros_(value)
    load_weights(model, file)
    assert _same(model.state_dict(), state)
    whole = file.read_bytes()
    damages = [*cut_off(whole), b"", b"text", bytes(len(whole)), whole + b"more", b"\xff" * 8 + whole[8:]]
    survived = 0
    for damaged in damages:
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="expected weights; cannot read it") as error:
            load_weights(model, file)
        survived += "\n" not in explain(error.value)
    tally("damaged safetensors", len(damages), survived)


def test_what_an_export_says_of_itself(run_dir, tmp_path):
    import json

    from safetensors import safe_open

    with safe_open(export(run_dir, "last", tmp_path / "out.safetensors"), "pt") as file:
        found = file.metadata()
    assert int(found["steps"]) == 40
    assert json.loads(found["config"])["model"]["width"] == json.loads(found["hyper_parameters"])["model"]["width"] == 4
    assert {"torch", "lightning", "gradvitals"} <= set(json.loads(found["versions"]))
    with pytest.raises(ValueError, match=r"--output: expected FILE.safetensors; got .*out.bin"):
        export(run_dir, output=tmp_path / "out.bin")
    with pytest.raises(FileNotFoundError, match="there is no"):
        export(tmp_path)
