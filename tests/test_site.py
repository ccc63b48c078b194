"""The documentation builds without a warning, and each of its internal links, anchors and images resolves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_docs import script

links = script("site/links")
FOLDERS = ("benchmarks", "conf", "docs", "examples", "src", "tests")  # what pages are in, and what they link to


@pytest.mark.slow  # half a minute: it imports every public name, and reads every page
def test_the_documentation_builds_and_its_links_resolve(tmp_path):
    """As ``make docs`` builds it, from a copy, because pages of the reference are written beside the others."""
    unwritten = shutil.ignore_patterns("_build", "api", "__pycache__", "*.egg-info")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=unwritten)
    for page in ROOT.glob("*.md"):
        shutil.copy(page, tmp_path)
    strict = ["--nitpicky", "--fail-on-warning", "--keep-going", "--quiet", "--conf-dir", "docs/site"]
    call = [sys.executable, "-m", "sphinx", *strict, ".", "docs/_build"]
    built = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    assert list(links.broken(tmp_path / "docs/_build")) == []


def test_what_the_test_builds_is_what_make_builds():
    recipe = (ROOT / "Makefile").read_text().partition("\ndocs: ")[2].partition("\n\n")[0]
    strict = "--nitpicky --fail-on-warning --keep-going --quiet --conf-dir docs/site . docs/_build"
    assert strict in recipe
    assert "docs/site/links.py docs/_build" in recipe


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('<a href="b.html#there">x</a><img src="p.png">', []),
        ('<a href="c.html">x</a>', ["a.html: c.html"]),
        ('<a href="b.html#gone">x</a>', ["a.html: b.html#gone"]),
        ('<a href="#gone">x</a><a href="#here" id="here">x</a>', ["a.html: #gone"]),
        ('<img src="gone.png"><a href="https://example.org/x">x</a>', ["a.html: gone.png"]),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, body, found):
    (tmp_path / "a.html").write_text(body)
    (tmp_path / "b.html").write_text('<h1 id="there">There</h1>')
    (tmp_path / "p.png").touch()
    assert list(links.broken(tmp_path)) == found


def test_links_to_folders_become_text():
    class App:
        srcdir = str(ROOT)

    source = ["[files](../conf), [a file](contract.md#keys), ![a picture](sweep.png)"]
    links.without_folders(App, "docs/index", source)
    assert source == ["files, [a file](contract.md#keys), ![a picture](sweep.png)"]
