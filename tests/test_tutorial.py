"""The tutorial is executed, and each number in its text is compared with what its expression gives.

A number is written as ``0.25 ± 0.01 (`expression`)``, or as ``3e-15, within a factor of 3 (`expression`)``, or as an
exact fraction or integer, ``1/8 (`expression`)``; a word as ```vanishing` (`expression`)``. A number without an
expression has to be one of the station's code, or one that was compared.
"""

from __future__ import annotations

import ast
import logging
import math
import re
import sys
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType

import matplotlib.pyplot as plt
import pytest
import torch

from tests.conftest import ROOT
from tests.pages import script

FOLDER = ROOT / "docs/tutorial"
NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"
STATEMENT = re.compile(
    rf"(?P<number>{NUMBER}(?:/\d+)?)(?: ± (?P<tolerance>{NUMBER})|, within a factor of (?P<factor>\d+))?"
    r" \(`(?P<expression>[^`]+)`\)"
    r"|`(?P<word>\w+)` \(`(?P<named>[^`]+)`\)"
)
QUICK = (1, 5, 9)  # stations of about a second
execute = script("tutorial/execute")
PAGE = (FOLDER / "tutorial.md").read_text()


@dataclass(frozen=True)
class Section:
    """A part of the page below one heading."""

    heading: str
    page: str

    @property
    def prose(self) -> str:
        return execute.CODE.sub("", self.page)

    @property
    def cells(self) -> list[str]:
        return [cell for cell in execute.CODE.findall(self.page) if not cell.startswith("%pip")]

    @property
    def measuring(self) -> str:
        return execute.CODE.findall(self.page.partition("**Measure.**")[2])[0]


def sections(page: str) -> list[Section]:
    return [Section(part.partition("\n")[0], part) for part in re.split(r"^## ", page, flags=re.MULTILINE)]


INTRODUCTION, SETUP, *STATIONS, SOURCES = sections(PAGE)


def agrees(statement: re.Match, value: object) -> bool:
    if statement["word"]:
        return value == statement["word"]
    if statement["tolerance"]:
        return abs(value - float(statement["number"])) <= float(statement["tolerance"])
    if statement["factor"]:
        return abs(math.log(value / float(statement["number"]))) <= math.log(float(statement["factor"]))
    return Fraction(value) == Fraction(statement["number"])


def expression(statement: re.Match) -> str:
    return statement["expression"] or statement["named"]


def wrong(section: Section, names: dict) -> list[str]:
    """The statements of a section that its names do not bear out."""
    found = [(statement, eval(expression(statement), names)) for statement in STATEMENT.finditer(section.prose)]
    return [f"{statement[0]}: got {value}" for statement, value in found if not agrees(statement, value)]


def unchecked(section: Section, code: str) -> list[str]:
    """The numbers in the text that neither have an expression nor are in the code or among those that have one."""
    stated = {statement["number"] for statement in STATEMENT.finditer(section.prose)}
    known = stated | set(re.findall(NUMBER, code))
    text = STATEMENT.sub("", section.prose.removeprefix(section.heading.partition(" ")[0]))
    text = re.sub(r"`[^`]*`|\]\([^)]*\)|[a-z]\s\(\d{4}\)|,\s\d{4}[;)]|station \d+\b", "", text)
    return [number for number in re.findall(rf"{NUMBER}", text) if number not in known]


@pytest.fixture
def run(monkeypatch):
    """Runs cells as a notebook does; figures and settings are put back."""
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    log, level, threads = (
        logging.getLogger("gradvitals"),
        logging.getLogger("gradvitals").level,
        torch.get_num_threads(),
    )
    module = ModuleType("tutorial")
    names = module.__dict__
    monkeypatch.setitem(sys.modules, "tutorial", module)  # where dataclasses look for their names

    def run_cells(cells):
        for cell in cells:
            exec(compile(cell, "a cell of the tutorial", "exec"), names)
        return names

    with plt.rc_context():
        yield run_cells
    log.setLevel(level)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in range(1, 11)]
)
def test_a_station_measures_what_its_text_says(number, run):
    station = STATIONS[number - 1]
    assert wrong(station, run([*SETUP.cells, *station.cells])) == []


def test_ten_stations_predict_measure_and_judge():
    assert [station.heading.partition(".")[0] for station in STATIONS] == [str(number) for number in range(1, 11)]
    for station in STATIONS:
        places = [station.page.index(f"**{part}.**") for part in ("Predict", "Measure", "Verdict")]
        assert places == sorted(places)
        assert len(ast.parse(station.measuring).body) <= 3, station.heading


@pytest.mark.parametrize("section", [INTRODUCTION, *STATIONS], ids=lambda section: section.heading[:20])
def test_no_number_is_unchecked(section):
    assert unchecked(section, "\n".join([*SETUP.cells, *section.cells])) == []


def test_each_station_says_what_was_predicted_measured_and_judged():
    for station in STATIONS:
        before, _, after = station.prose.partition("**Verdict.**")
        assert STATEMENT.search(after), station.heading
        assert STATEMENT.search(before) or station is STATIONS[-1], station.heading
        assert any(found["word"] for found in STATEMENT.finditer(after)), station.heading


def test_a_wrong_or_an_unchecked_number_is_found():
    section = Section(
        "", "It is 2.5 ± 0.1 (`x`), 3, within a factor of 2 (`x`), 1/2 (`x / 5`) and `vanishing` (`y`). 17 of 4."
    )
    assert wrong(section, {"x": 2.5, "y": "vanishing"}) == []
    assert [text.split(" (")[0] for text in wrong(section, {"x": 7, "y": "healthy"})] == [
        *("2.5 ± 0.1", "3, within a factor of 2", "1/2", "`vanishing`")
    ]
    assert unchecked(section, "depth=4") == ["17"]


def test_the_introduction_gives_the_number_that_it_explains():
    assert wrong(INTRODUCTION, {}) == []


def test_each_picture_of_the_page_exists_and_only_those():
    shown = re.findall(r"!\[.+\]\((.*?)\)", PAGE)
    assert shown == [f"station_{number}.png" for number in range(1, 11)]
    assert {file.name for file in FOLDER.glob("*.png")} == set(shown)
    for station, name in zip(STATIONS, shown, strict=True):
        assert name in station.page


def test_its_recipes_exist():
    named = set(re.findall(r"`(\w+)`", SOURCES.page))
    assert named <= {file.stem for file in (ROOT / "conf/experiment").glob("*.yaml")}
    assert len(named) > 10


def test_the_notebook_has_the_text_and_the_cells_of_the_page():
    made = execute.notebook(PAGE)
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.source.strip() for cell in code[1:]] == [cell.strip() for cell in execute.CODE.findall(PAGE)[1:]]
    assert code[0].source.startswith("%pip install")
    assert code[0].metadata.tags == ["skip-execution"]
    text = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    assert "![" not in text
    assert "```" not in text
    assert all(station.heading in text for station in STATIONS)


def test_the_install_line_installs_what_the_cells_import():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [line for line in PAGE.splitlines() if line.startswith("%pip")] == [
        '%pip install --quiet "gradvitals[tutorial]"'
    ]
    imported = set(re.findall(r"^(?:import|from) (\w+)", "\n".join(SETUP.cells), re.MULTILINE))
    brought = {re.split(r"[^\w-]", line)[0].replace("scikit-learn", "sklearn") for line in extras["tutorial"]}
    standard = {"logging", "math", "dataclasses", "functools"}
    assert imported == brought | standard | {"torch", "gradvitals"}


@pytest.mark.slow
def test_the_notebook_is_executed_and_shows_each_picture(tmp_path, monkeypatch, capsys):
    import nbformat

    monkeypatch.setattr("sys.argv", ["execute.py", "--out", str(tmp_path)])
    execute.main()
    assert {file.name for file in tmp_path.iterdir()} == {
        "tutorial.ipynb",
        *(f"station_{number}.png" for number in range(1, 11)),
    }
    made = nbformat.read(tmp_path / "tutorial.ipynb", as_version=4)
    assert not [output for cell in made.cells for output in cell.get("outputs", ()) if output.output_type == "stream"]
    printed = capsys.readouterr().out
    assert all(f"s  {station.heading}" in printed for station in STATIONS)
