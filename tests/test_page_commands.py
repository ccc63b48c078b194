"""Every command of a page is one: its script, its options and its keys are there; those with outputs run."""

import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from sklearn.datasets import load_wine

from gradvitals.app.config.run_directory import register_names
from tests.conftest import CONF, ROOT
from tests.pages import ELSEWHERE, commands, pages

COMPOSED = {"train": "train", "preflight": "preflight", "cure": "cure"}
OTHERS = {"cd", "eval", "git", "source", "tensorboard"}  # programs of others
PLACEHOLDER = re.compile(r"[A-Z]|(experiment|debug|sweep|model)=[A-Z]+$")  # KEY=VALUE, experiment=NAME
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
SOURCES = "".join(file.read_text() for file in sorted((ROOT / "src/gradvitals/app/commands").glob("*.py")))
PAGES = [page for page in pages() if page.stem not in ELSEWHERE]
LINES = sorted({command for page in PAGES for command in commands(page)})


def overrides(words):
    """The overrides of a command, of a sweep the first value of each; what is a placeholder is left out."""
    typed = [word for word in words if "=" in word and not word.startswith("-") and not PLACEHOLDER.match(word)]
    chosen = []
    for text in typed:
        override = OverridesParser.create().parse_override(text)
        if override.is_choice_sweep():
            chosen.append(f"{override.input_line.partition('=')[0]}={next(override.sweep_string_iterator())}")
        elif not override.is_sweep_override():
            chosen.append(text)
    return [text for text in chosen if not text.startswith(("experiment=cured/", "model._target_"))]


def check(words):
    """Fails unless a command can be typed."""
    if re.match(r"[A-Z_]+=", words[0]):  # of the environment
        return check(words[1:])
    program, *rest = words
    if program == "make":
        assert rest[0] in TARGETS
        if rest[0] == "train" and rest[1:]:
            check(["python", "src/train.py", *shlex.split(rest[1].removeprefix("ARGS="))])
    elif program == "gradvitals":
        if rest[0].startswith("-") or rest[0] == "new":  # which has no script
            return None
        check(["python", f"src/{rest[0]}.py", *rest[1:]])
    elif program == "torchrun":
        check(["python", *rest[rest.index("src/train.py") :]])
    elif program == "pip":
        for extra in re.findall(r"\[(.*?)\]", " ".join(rest)):
            assert set(extra.split(",")) <= set(EXTRAS)
    elif program in ("python", ".venv/bin/python") and rest[0] not in ("-c", "-m"):
        script = ROOT / rest[0].replace("NAME", "train")
        assert script.exists(), script
        if script.parent == ROOT / "src" and script.stem in COMPOSED:
            compose(COMPOSED[script.stem], overrides(rest[1:]), return_hydra_config=True)
        elif script.parent == ROOT / "src":
            assert all(f'"{flag}"' in SOURCES for flag in rest[1:] if flag.startswith("-")), rest
    else:
        assert program in {*OTHERS, "python", ".venv/bin/python"}
    return None


@pytest.fixture(scope="module")
def configs():
    register_names()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.mark.filterwarnings(r"ignore:\s*.hydra/launcher/:UserWarning")  # Hydra's, about the launchers' own schemas
@pytest.mark.parametrize("line", LINES)
def test_a_command_of_a_page_can_be_typed(line, configs):
    check(shlex.split(line, comments=True))


@pytest.mark.parametrize(
    "line",
    [
        "python src/train.py model=none_such",
        "python src/train.py -m act=relu,none_such2 model.none_such=1",
        "make none-such",
        'pip install "PATH[none_such]"',
        "python src/board.py --none-such",
        "python docs/none_such.py",
        "none_such",
    ],
)
def test_what_cannot_be_typed_is_found(line, configs):
    with pytest.raises(Exception):  # noqa: B017, PT011  # of Hydra, or an assertion
        check(shlex.split(line))


# What pages show of the output of these commands, as far as it is the same on any machine.
SHOWN = (
    ("README.md", "verdict      healthy"),
    ("docs/guides/diagnose.md", "verdict      vanishing at step"),
    ("docs/guides/diagnose.md", "trainable to about 2 layers, this net has 6"),
    ("docs/guides/cure.md", "cured        act=elu init=auto: best val/acc 0.1 -> healthy"),
    ("docs/guides/compare.md", "12 runs of 6 configurations: 12 completed."),
    ("docs/guides/tables.md", "splits       train 124, val 18, test 36, at random, with equal shares of the"),
)


@pytest.fixture
def cured():
    """The name of a cured experiment, which is removed afterwards."""
    yield "of_the_readme"
    for file in (CONF / "experiment/cured").glob("of_the_readme*"):
        file.unlink()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_readmes_commands_do_what_it_says(command, cured, tmp_path):
    """In an empty folder, in the order of the page; the lines that a run ends with begin with the words that it shows."""
    readme = (ROOT / "README.md").read_text()
    label = re.compile(r"^([a-z]+)  +\S", re.MULTILINE)
    shown = label.findall(readme.partition("run ends with these lines:")[2].partition("## Five")[0])
    first = command()
    assert first.returncode == 0, first.stderr
    assert label.findall(first.stdout)[-len(shown) :] == shown

    outcome = {"": first}
    look = [line for line in commands(ROOT / "docs/guides/diagnose.md") if line.startswith("python src/preflight.py")]
    for line in [*commands(ROOT / "README.md"), *look]:
        words = shlex.split(line, comments=True)
        if words[0] == "python" and words[1].startswith("src/"):
            own = [f"cure.name={cured}"] if words[1] == "src/cure.py" else []
            outcome[line] = command(*words[2:], *own, script=words[1].removeprefix("src/"))
        elif words[:2] == ["python", "-c"]:
            subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, check=True)
    assert {line: done.stderr for line, done in outcome.items() if done.returncode} == {}
    assert (tmp_path / "logs/wine/predictions_wine.csv").is_file()
    printed = "\n".join(done.stdout for done in outcome.values())
    assert [shows for shows in SHOWN if shows[1] not in (ROOT / shows[0]).read_text() or shows[1] not in printed] == []


# What stands for something of the reader's own, and what it is here.
OWN = {
    **{"RUN_DIR": "logs/wine", "RUN_A": "logs/wine", "RUN_B": "logs/wine", "logs/train/multiruns/NAME": "logs/sweep"},
    **{"SWEEP_DIR": "logs/sweep", "FILE": "wine.csv", "COLUMN": "target", "NEW.csv": "wine.csv"},
    **{"new.csv": "wine.csv", "labeled.csv": "wine.csv"},
}
# Several GPUs, Ray or a SLURM cluster, a server, a cure of minutes, or what needs something else of the reader's own.
NOT_HERE = ("trainer=ddp ", "trainer=fsdp", "launcher=ray", "launcher=submitit", "join_sweep", "board.py")
NOT_HERE += ("cure.py experiment=rnn_vanishing", "DIR", "NAME", "data.series=target", "data=fashion_mnist")


def tables(folder):
    """The tables that guides speak of, and a run and a sweep to go on with."""
    frame = load_wine(as_frame=True).frame
    frame.to_csv(folder / "wine.csv", index=False)
    for name, target in (("churn", "Churn"), ("water", "Potability")):
        frame.rename(columns={"target": target}).to_csv(folder / f"{name}.csv", index=False)
    rows = [f"m{i},{t},{i % 7 + t},{(i + t) % 5},{i % 2}" for i in range(40) for t in range(2 + i % 4)]
    (folder / "machines.csv").write_text("\n".join(["machine,minute,temperature,load,fails", *rows]))


def lines_of_guides():
    """What can be run here of the commands in the guides and in the list of options, each once."""
    found = {}
    for page in (*sorted((ROOT / "docs/guides").glob("*.md")), ROOT / "docs/options.md"):
        for line in commands(page) if page.stem not in ELSEWHERE - {"troubleshooting"} else ():
            for placeholder, own in OWN.items():
                line = re.sub(rf"(?<![\w/]){re.escape(placeholder)}\b", own, line)
            words = shlex.split(line, comments=True)
            if words[0] == "python" and words[1].startswith("src/") and not any(each in line for each in NOT_HERE):
                found[shlex.join(words[1:])] = words[1:]
    return list(found.values())


def shortened(script, words):
    """The words of a command that trains, with what makes it short."""
    if script not in ("train.py", "cure.py"):
        return words
    words = [re.sub(r"n_trials=\d+", "n_trials=2", word) for word in words]
    is_long = not any(word.startswith(("debug=", "resume", "--cfg")) for word in words)
    return [*words, "debug=one_batch"] if is_long and script == "train.py" else words


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_commands_of_the_guides_run(command, cured, tmp_path):
    tables(tmp_path)
    csv = ("data=csv", "data.path=wine.csv", "data.target=target", "trainer.max_epochs=2")
    assert command(*csv, "hydra.run.dir=logs/wine").returncode == 0
    assert command("-m", "seed=0,1", "debug=one_batch", "hydra.sweep.dir=logs/sweep").returncode == 0
    failed = {}
    for script, *words in lines_of_guides():
        script = script.removeprefix("src/")
        own = [f"cure.name={cured}"] if script == "cure.py" else []
        own += csv[:-1] if "weights=logs/wine" in words else ()  # of the same network
        done = command(*shortened(script, words), *own, script=script)
        if done.returncode:
            failed[shlex.join([script, *words])] = done.stderr[-300:]
    assert failed == {}
