"""Makes the notebook of the tutorial and its pictures: ``python docs/tutorial/execute.py``, or ``make tutorial``.

It executes ``tutorial.md`` from top to bottom, writes ``tutorial.ipynb`` with all outputs, the pictures of the page as
``station_N.png``, and prints the seconds of each station.
"""

from __future__ import annotations

import argparse
import base64
import re
from datetime import datetime
from itertools import count
from pathlib import Path

import nbclient
import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).parent
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"^!\[.*\]\(.*\.png\)\n", re.MULTILINE)  # the notebook draws its own
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(page: str) -> NotebookNode:
    """Returns a page of Markdown as a notebook: blocks of Python become cells of code.

    Example:
        >>> [cell.cell_type for cell in notebook("# Title\\n```python\\n1 + 1\\n```\\nText").cells]
        ['markdown', 'code', 'markdown']
    """
    cells = []
    for place, source in enumerate(CODE.split(PICTURE.sub("", page))):
        if not source.strip():
            continue
        if place % 2 == 0:
            cells.append(nbformat.v4.new_markdown_cell(source.strip(), id=f"cell-{place}"))
            continue
        # What runs here is installed already: nbclient leaves out cells with this tag, and Jupyter runs them.
        tags = {"tags": ["skip-execution"]} if source.startswith("%pip") else {}
        cells.append(nbformat.v4.new_code_cell(source.strip(), id=f"cell-{place}", metadata=tags))
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def pictures(made: NotebookNode) -> list[bytes]:
    """Returns the PNG files that an executed notebook shows, in order."""
    outputs = [output for cell in made.cells for output in cell.get("outputs", ()) if "data" in output]
    return [base64.b64decode(output.data["image/png"]) for output in outputs if "image/png" in output.data]


def seconds(made: NotebookNode) -> dict[str, float]:
    """Returns how long each section of an executed notebook took, by its heading."""
    found, heading = dict[str, float](), "start"
    for cell in made.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^## (.*)$", cell.source, re.MULTILINE) or [heading])[-1]
        elif times := cell.metadata.get("execution"):
            begin, end = (datetime.fromisoformat(times[key]) for key in ("iopub.execute_input", "shell.execute_reply"))
            found[heading] = found.get(heading, 0.0) + (end - begin).total_seconds()
    return found


def main() -> None:
    """Executes the page and writes the notebook and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the notebook and the pictures")
    out = parser.parse_args().out
    made = notebook((HERE / "tutorial.md").read_text(encoding="utf-8"))
    nbclient.NotebookClient(made, timeout=300, kernel_name="python3").execute()
    for number, picture in zip(count(1), pictures(made), strict=False):
        (out / f"station_{number}.png").write_bytes(picture)
    for heading, taken in seconds(made).items():
        print(f"{taken:6.1f} s  {heading}")
    nbformat.write(made, out / "tutorial.ipynb")
    print(f"notebook   {out / 'tutorial.ipynb'}")


if __name__ == "__main__":
    main()
