"""The style sheet and the script of a page are linted as what they are."""

import re
import shutil
import subprocess
from collections import Counter

import pytest
import tinycss2

from gradvitals.report.pages.page import asset, document
from tests.conftest import ROOT

PAGES = ROOT / "src/gradvitals/report/pages"
OF_PLOTLY = {"modebar"}  # classes that Plotly makes


def rules(nodes, within=""):
    """Every rule of a style sheet with the at-rule around it: (around, selector, declarations)."""
    for node in nodes:
        head = tinycss2.serialize(getattr(node, "prelude", None) or []).strip()
        if node.type == "at-rule" and node.lower_at_keyword == "media":
            yield from rules(tinycss2.parse_rule_list(node.content, True, True), f"@media {head}")
        elif node.type == "at-rule":
            yield within, f"@{node.at_keyword}", tinycss2.parse_blocks_contents(node.content, True, True)
        elif node.type == "qualified-rule":
            yield within, head, tinycss2.parse_blocks_contents(node.content, True, True)
        else:
            yield within, f"line {node.source_line}", [node]


def faults(sheet: str) -> list[str]:
    """What is wrong with a style sheet: syntax, selectors and properties that occur twice, variables that do not exist."""
    found = list(rules(tinycss2.parse_stylesheet(sheet, True, True)))
    wrong = [f"{head}: {each.message}" for _, head, body in found for each in body if each.type == "error"]
    heads = Counter((within, head) for within, head, _ in found)
    wrong += [f"{head} occurs {count} times" for (_, head), count in heads.items() if count > 1]
    for _, head, body in found:
        names = Counter(each.name for each in body if each.type == "declaration")
        wrong += [f"{head}: {name} occurs {count} times" for name, count in names.items() if count > 1]
    defined = set(re.findall(r"(--[a-z0-9]+):", sheet))
    return wrong + [f"{name} is not defined" for name in set(re.findall(r"var\((--[a-z0-9]+)\)", sheet)) - defined]


def test_the_style_sheet_has_no_fault():
    assert faults(asset("page.css")) == []


@pytest.mark.parametrize(
    "sheet",
    [
        "p { color red; }",
        "p { color: red; } p { margin: 0; }",
        "p { color: red; color: blue; }",
        "p { color: var(--nothing); }",
        "p color: red; }",
    ],
)
def test_faults_are_found(sheet):
    assert faults(sheet)


def test_braces_are_balanced():
    for name in ("page.css", "page.js"):
        assert [asset(name).count(a) - asset(name).count(b) for a, b in ("{}", "()", "[]")] == [0, 0, 0]


def test_every_class_and_every_color_is_used():
    written = "".join(file.read_text() for file in PAGES.glob("*.py")) + asset("page.js")
    classes = set(re.findall(r"\.([a-z][a-z-]*)(?=[^{}]*\{)", re.sub(r"/\*.*?\*/|\{[^{}]*\}", "{", asset("page.css"))))
    assert {"command", "scroll", "muted"} <= classes
    assert {name for name in classes - OF_PLOTLY if not re.search(rf"\b{name}\b", written)} == set()
    variables = set(re.findall(r"--([a-z]+)\d?:", asset("page.css")))
    assert {
        name
        for name in variables
        if not re.search(rf"--{name}\b|--{name}\$", asset("page.css").replace(f"--{name}:", "") + written)
    } == set()


def test_the_script_is_javascript(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; tests/browser runs the script in Chromium")
    done = subprocess.run([node, "--check", PAGES / "assets/page.js"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    broken = tmp_path / "broken.js"
    broken.write_text(asset("page.js").replace("=>", "=", 1))
    assert subprocess.run([node, "--check", broken], capture_output=True, check=False).returncode != 0


def test_lines_are_no_longer_than_those_of_python():
    long = [line for name in ("page.css", "page.js") for line in asset(name).splitlines() if len(line) > 120]
    assert long == []


def test_assets_end_no_element_and_are_in_the_page():
    page = document("a", [], [])
    for name in ("page.css", "page.js"):
        assert "</" not in asset(name)
        assert asset(name) in page


def test_assets_are_part_of_the_package():
    import tomllib

    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for file in (PAGES / "assets").iterdir():
        assert any(file.match(pattern) for pattern in data["gradvitals.report.pages"]), file
