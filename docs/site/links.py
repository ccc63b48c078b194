"""Links of the site: those to folders, the entrance, and a check of every link in the built pages.

``python docs/site/links.py FOLDER`` names each internal link, anchor and image in a folder's pages that leads nowhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
ENTRANCE = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=docs/index.html">'
ENTRANCE += '<title>gradvitals</title><a href="docs/index.html">gradvitals</a>\n'


def without_folders(app: Any, page: str, source: list[str]) -> None:
    """Replaces links to folders, and to files that are no pages, by their text: a forge shows them, a site cannot."""
    here = (Path(app.srcdir) / page).parent

    def replaced(match: re.Match[str]) -> str:
        target = here / unquote(match[2])
        return match[1] if target.is_dir() or target.name in ("README.md", "LICENSE") else match[0]

    source[0] = LINK.sub(replaced, source[0])


def entrance(app: Any, exception: Exception | None) -> None:
    """Writes the page that opens the first page of the site."""
    if exception is None and app.builder.format == "html":
        (Path(app.outdir) / "index.html").write_text(ENTRANCE, encoding="utf-8")


class Page(HTMLParser):
    """The targets that a page links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps what the attributes of a tag name."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif value and (name == "src" or (name == "href" and tag in ("a", "link"))):
                self.targets.append(value)


@cache
def read(file: Path) -> Page:
    """Parses a page once."""
    return Page(file.read_text(encoding="utf-8"))


def broken(folder: Path) -> Iterator[str]:
    """Yields each internal link that leads nowhere, as ``PAGE: TARGET``."""
    for file in sorted(folder.rglob("*.html")):
        for target in read(file).targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            found = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            is_there = found.is_file()
            if is_there and parts.fragment and found.suffix == ".html":
                is_there = unquote(parts.fragment) in read(found).anchors
            if not is_there:
                yield f"{file.relative_to(folder)}: {target}"


if __name__ == "__main__":
    lost = list(broken(Path(sys.argv[1])))
    print("\n".join(lost) or "every internal link, anchor and image resolves")
    sys.exit(bool(lost))
