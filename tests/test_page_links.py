"""Every link and picture of a page leads to a file of the repository, and to a heading that is there."""

import re

import pytest

from tests.conftest import ROOT
from tests.pages import GENERATED, name, pages, prose

LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


def links(page):
    text = re.sub(r"`[^`]*`", "", prose(page))
    return [one or other for one, other in LINK.findall(text) if not re.match(r"[a-z]+:", one or other)]


def anchors(page):
    """The names of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_link_leads_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        if target.relative_to(ROOT).as_posix().startswith(GENERATED):
            continue
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_what_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text('# A page: one, two\n\n[a](b.md#c) ![d](../e.png) <img src="f.png"> `[g](h.md)` [i](https://j)\n')
    assert links(page) == ["b.md#c", "../e.png", "f.png"]
    assert anchors(page) == {"a-page-one-two"}


def test_a_guide_can_be_reached_from_the_readme():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(ROOT / "README.md")}
    assert set((ROOT / "docs/guides").glob("*.md")) <= linked
