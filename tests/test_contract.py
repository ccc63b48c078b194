"""docs/contract.md says what the code does: each of its tables is compared with it."""

import importlib
import json
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gradvitals.app.commands.resume import BESIDE, BESIDE_SWEEP
from gradvitals.app.cure.attempts import CureState
from gradvitals.app.cure.cure import NOTHING_HELPED
from gradvitals.app.cure.cure_file import content
from gradvitals.app.cure.trial import Trial
from gradvitals.app.sweep.sweep_summary import summarize
from gradvitals.diagnosis.outcome import HEALTHY, NOT_LEARNING, UNDECIDED
from gradvitals.diagnosis.rules import rules
from gradvitals.errors import INTERRUPTED, TERMINATED
from gradvitals.results.status import Status
from tests.conftest import CONF, ROOT

PAGE = (ROOT / "docs/contract.md").read_text()
GROUPS = ("model", "act", "init", "clip", "optimizer", "scheduler", "data", "trainer", "monitor", "callbacks", "logger")
ON_A_GPU = {"scaler/scale", "scaler/skipped_steps"}  # the tags of a loss scaler
RECURRENT = {f"time_grad_norm/LAYER/{place}" for place in ("first", "middle", "last")}
RECURRENT_PICTURE, RECURRENT_FILE = "vitals/gradient_through_time", "gradient_through_time.png"


def section(title: str) -> str:
    """The text under a heading, up to the next one."""
    (found,) = re.findall(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return found


def table(title: str, head: str) -> dict[str, str]:
    """The first column of a table -> the second one, both without their backquotes; its head tells it from others."""
    (block,) = re.findall(rf"^\| {head} \|.*\n(?:\|.*\n)+", section(title), re.MULTILINE)
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]
    return {row[0]: "".join(row[1:2]) for row in rows}


def named(title: str, beginning: str) -> set[str]:
    """What a paragraph names in backquotes, up to the end of its first sentence or clause."""
    paragraph = next(part for part in section(title).split("\n\n") if part.startswith(beginning))
    return set(re.findall(r"`(\w+)`", re.split(r"[.;]", paragraph)[0]))


def flat(settings: dict, prefix: str = "") -> dict[str, object]:
    """Nested settings by dotted key, without the classes that they are for."""
    found: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        elif key != "_target_":
            found[f"{prefix}{key}"] = value
    return found


def configured() -> dict[str, object]:
    """Every key of every option -> its value in the group's default option, else in the first one that has it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        plain = lambda *typed: OmegaConf.to_container(compose("cure", list(typed)), resolve=False)  # noqa: E731
        found = flat(plain())
        for group in GROUPS:
            for option in sorted(file.stem for file in (CONF / group).glob("*.yaml")):
                found = flat({group: plain(f"{group}={option}")[group]}) | found
    return {key: value for key, value in found.items() if key not in GROUPS} | {"task_name": "train"}


def test_keys_and_defaults():
    titles = ["a run", *(f"`{group}`" for group in (*GROUPS, "cure"))]
    documented = {key: value for title in titles for key, value in table(f"Keys of {title}", "key").items()}
    assert {key: yaml.safe_load(value) for key, value in documented.items()} == {
        key: yaml.safe_load(str(value)) if isinstance(value, str) and value else value
        for key, value in configured().items()
    }


def test_keys_of_hydra():
    search = OmegaConf.load(CONF / "hydra/sweeper/optuna.yaml")
    documented = table("Keys of Hydra", "key")
    for key in ("n_trials", "n_jobs"):
        assert int(documented[f"hydra.sweeper.{key}"]) == search[key]
    options = {file.stem for group in ("launcher", "sweeper") for file in (CONF / "hydra" / group).glob("*.yaml")}
    assert options <= set(re.findall(r"`(\w+)`", section("Keys of Hydra")))


def test_scripts_and_targets():
    scripts = {f"src/{file.name}" for file in (ROOT / "src").glob("*.py")}
    assert {command.split()[1] for command in table("Commands", "command")} == scripts
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert list(table("Commands", "make target")) == [f"make {target}" for target in targets]


def test_what_may_be_given_beside_resume():
    text = " ".join(section("Commands").split())
    for beginning, keys in (("- `resume=RUN_DIR`", BESIDE), ("- `resume_sweep=", BESIDE_SWEEP)):
        sentence = text.partition(beginning)[2].partition("Only ")[2].partition(" may be given")[0]
        assert {name.rstrip("*.") for name in re.findall(r"`(\S+)`", sentence)} == {key.rstrip("=.") for key in keys}


def test_exit_codes():
    by_argparse = 2
    codes = {0, 1, by_argparse, NOTHING_HELPED, INTERRUPTED, TERMINATED}
    assert {int(code) for code in table("Exit codes", "code")} == codes


def test_verdicts_and_statuses():
    assert list(table("Verdicts", "verdict")) == [HEALTHY, NOT_LEARNING, UNDECIDED, *(rule.name for rule in rules())]
    assert set(table("Keys of `result.json`", "status")) == set(Status) - {Status.MISSING}


def test_environment_variables():
    files = [*(ROOT / "src").rglob("*.py"), *CONF.rglob("*.yaml")]
    read = {name for file in files for name in re.findall(r"GRADVITALS_[A-Z_]+", file.read_text())}
    assert set(table("Environment variables", "variable")) == read


@pytest.mark.parametrize("name", table("Python", "name"))
def test_names_to_import(name):
    package, _, last = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(package), last)
    except AttributeError:
        found = importlib.import_module(name)
    assert found is not None


TRAINED: list[Path] = []  # one run for all tests below


@pytest.fixture
def run(train_here) -> Path:
    """A run that logs whatever can be logged without a GPU."""
    if not TRAINED:
        measured = [f"monitor.{key}=true" for key in ("clip_cosine", "noise_scale", "histograms")]
        metrics = "metrics=[acc,f1,auroc,balanced_acc]"
        typed = [metrics, "act=sigmoid", "clip=norm", "monitor.on_non_finite=skip", "trainer.max_epochs=2", *measured]
        TRAINED.append(train_here(*typed))
    return TRAINED[0]


def test_files_of_a_run(run):
    by_hydra = {".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", "train.log"}  # not in this process
    documented = set(table("Files of a run", "file")) - by_hydra
    written = {str(file.relative_to(run)) for file in run.rglob("*") if file.is_file()}
    assert {name for name in written if not any(fnmatch(name, pattern) for pattern in documented)} == set()
    assert {pattern for pattern in documented if not any(fnmatch(name, pattern) for name in written)} == set()


def test_files_of_a_sweep(run, tmp_path):
    shutil.copytree(run, tmp_path / "sweep" / "0_act=sigmoid")
    summarize(tmp_path / "sweep")
    written = {file.name for file in (tmp_path / "sweep").iterdir() if file.is_file()}
    assert set(table("Files of a sweep", "file")) - {"multirun.yaml"} == written  # Hydra's job is not to be seen here


def test_keys_of_the_result(run):
    assert list(table("Keys of `result.json`", "key")) == list(json.loads((run / "result.json").read_text()))


def test_keys_of_the_vitals_and_of_the_preflight(run):
    vitals = json.loads((run / "vitals.json").read_text())
    assert list(table("Keys of `vitals.json`", "key")) == list(vitals)
    names = {"name", "index", "kind", "fan_in"}
    assert named("Keys of `vitals.json`", "The numbers of a layer") == set(vitals["layers"][0]) - names
    preflight = vitals["preflight"]
    assert list(table("Keys of `preflight.json`", "key")) == list(preflight)
    assert named("Keys of `preflight.json`", "The numbers of a layer") == set(preflight["layers"][0])


def test_keys_of_the_cure():
    sick = Trial(["act=sigmoid"], "completed", "vanishing", None)
    assert list(table("Keys of `cure.json`", "key")) == list(content(CureState([], sick), None, 1.0))


def test_tags(run):
    events = EventAccumulator(str(run)).Reload().Tags()
    kinds = {re.sub(r"/\d+\..*", "/LAYER", tag) for tag in events["scalars"]}
    assert kinds == set(table("TensorBoard tags", "tag")) - ON_A_GPU - RECURRENT
    others = {re.sub(r"/\d+\..*", "/LAYER", tag) for kind in ("images", "histograms") for tag in events[kind]}
    others |= {tag for tag in events["tensors"] if not tag.startswith("custom_scalars")}
    paragraph = section("TensorBoard tags").rpartition("Pictures:")[2].partition("HPARAMS")[0]
    documented = {name for name in re.findall(r"`([\w/]+)`", paragraph) if "/" in name}
    assert others == documented - {RECURRENT_PICTURE}
    assert RECURRENT_PICTURE in documented


def test_what_a_recurrent_network_adds(train_here):
    run = train_here("model=gru", "data=sequential_digits", "model.width=8", "trainer.max_steps=2", "act=tanh")
    events = EventAccumulator(str(run)).Reload().Tags()
    found = {re.sub(r"/\d+\.\S+/", "/LAYER/", tag) for tag in events["scalars"] if tag.startswith("time_grad_norm")}
    assert found == RECURRENT <= set(table("TensorBoard tags", "tag"))
    assert RECURRENT_PICTURE in events["images"]
    assert f"A recurrent network adds `{RECURRENT_FILE}`" in section("Files of a run")
    assert (run / RECURRENT_FILE).read_bytes().startswith(b"\x89PNG")
    (layer,) = json.loads((run / "vitals.json").read_text())["through_time"]
    sentence = table("Keys of `vitals.json`", "key")["through_time"]
    assert {*layer, *layer["measured"][0]} <= set(re.findall(r"`(\w+)`", sentence))
