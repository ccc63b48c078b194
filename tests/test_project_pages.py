"""The two pages about a project of one's own: their files compose and train, and their commands can be typed in it."""

import fnmatch
import re
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gradvitals.app.commands.new_project import new_project
from gradvitals.app.config.compose import compose, options_of_groups
from gradvitals.app.config.other_templates import KEYS, OPTIONS
from tests.conftest import ROOT
from tests.pages import FENCE

NAMES = ("new_project", "coming_from_lightning_hydra_template")
PAGES = {name: (ROOT / f"docs/guides/{name}.md").read_text() for name in NAMES}
FILE = re.compile(r"# ([\w./]+\.\w+)\n")  # the first line of a block that is a file of the project
SHORT = ("debug=one_batch", "trainer=cpu", "report=false")


def files(page: str) -> dict[str, str]:
    """Path -> content of the files of a page."""
    found = {code: FILE.match(code) for _, code in FENCE.findall(page)}
    return {first[1]: code[first.end() :] for code, first in found.items() if first}


def commands(name: str) -> list[str]:
    """The lines of the blocks of bash, and of tables the last column, whose commands are ours."""
    page = PAGES[name]
    lines = [line for kind, code in FENCE.findall(page) if kind == "bash" for line in code.splitlines()]
    cells = [line.rstrip(" |").rpartition("| ")[2] for line in page.splitlines() if line.startswith("|")]
    lines += [span for cell in cells for span in re.findall(r"`(python src/[^`]+)`", cell)]
    return sorted({line for line in lines if line.startswith("python src/")})


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """What `gradvitals new my-project` makes, with the files of both pages in it."""
    folder = tmp_path_factory.mktemp("pages") / "my-project"
    new_project(folder)
    for page in PAGES.values():
        for path, text in files(page).items():
            (folder / path).parent.mkdir(exist_ok=True, parents=True)
            (folder / path).write_text(text)
    return folder


def test_the_pages_have_files():
    assert {"conf/model/dense.yaml", "conf/experiment/dense_digits.yaml", "src/my_project/dense_module.py"} <= set(
        files(PAGES["coming_from_lightning_hydra_template"])
    )
    assert all(len(commands(name)) > 4 for name in NAMES)


@pytest.mark.parametrize("command", sorted({command for name in NAMES for command in commands(name)}))
def test_a_command_of_a_page_can_be_typed_in_the_project(project, command):
    _, script, *words = shlex.split(command, comments=True)
    assert (project / script).is_file()
    typed = []
    for word in words:
        if (
            re.search(r"=[A-Z]|^-", word)
            or "=" not in word
            or script not in ("src/train.py", "src/cure.py", "src/preflight.py")
        ):
            continue
        override = OverridesParser.create().parse_override(word)
        if "glob(" in word:
            group, pattern = re.fullmatch(r"(\w+)=glob\((.*)\)", word).groups()
            assert fnmatch.filter(options_of_groups(project / "conf")[group], pattern)
        elif override.is_choice_sweep():
            typed.append(f"{override.get_key_element()}={next(override.sweep_string_iterator())}")
        elif not override.is_sweep_override():
            typed.append(word)
    compose(typed, project / "conf")


@pytest.mark.parametrize("words", [["experiment=dense_digits", "act=elu"], ["model=dense_module", "data=digits"]])
def test_the_converted_example_trains(project, warm_command, words):
    done = warm_command(*words, *SHORT, script=str(project / "src/train.py"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("completed ")


def test_what_the_page_says_of_an_old_key_is_printed(project, warm_command):
    (shown,) = (code for kind, code in FENCE.findall(PAGES[NAMES[1]]) if kind == "" and code.startswith("$ "))
    typed, message = shown.splitlines()
    done = warm_command(*shlex.split(typed)[3:], script=str(project / "src/train.py"))
    assert done.stderr == f"{message}\n"


def test_the_table_agrees_with_what_the_errors_offer():
    rows = [line.strip("| ").split(" | ") for line in PAGES[NAMES[1]].splitlines() if line.startswith("| `")]
    table = {old.strip("`"): new for old, new in rows}
    habits = {old: new for old, new in {**KEYS, **OPTIONS}.items() if old in table}
    assert {"trainer=ddp_sim", "logger=many_loggers"} <= set(habits)
    assert {old: table[old] for old in habits} == {old: f"`{new}`" for old, new in habits.items()}
