"""Words from data, names and command lines that would be code, formulas, tags or paths where they are shown."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from gradvitals.app.config.error_messages import leave
from gradvitals.app.config.overrides import slug
from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.app.cure.experiment_file import _comment, experiment
from gradvitals.app.sweep.progress import line
from gradvitals.app.sweep.sweep_summary import Summary, _print, summarize
from gradvitals.formatting import FORMULA, visible
from gradvitals.report.pages.cure_page import cure_page
from gradvitals.report.pages.run_page import run_page
from gradvitals.report.pages.runs_page import runs_page
from gradvitals.report.pages.sweep_page import sweep_page
from gradvitals.report.pictures import canvas, gradient_by_layer, gradient_heatmap, small_multiples
from gradvitals.report.pictures.cure import Side, picture
from gradvitals.report.tables.sweep import as_csv, markdown, text
from gradvitals.results.aggregate import fold
from gradvitals.results.record import Record, read
from gradvitals.results.result import Result
from gradvitals.results.status import Status
from tests.faults import as_typed
from tests.report import made

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</title></style></textarea><iframe src=javascript:alert(1)>",
    "<!-- --><a href=javascript:alert(1)>x</a>",
    "&lt;script&gt;&#60;b&#62;",
    "%{x}<extra></extra><b>",
    "]]><![CDATA[<b>",
    "[x](javascript:alert(1)) ![y](http://localhost/z)",
    "`code` | cell | $\\frac{$ $x^{$",
    '=HYPERLINK("http://localhost","x")',
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",  # noqa: RUF001
    "!!python/object/apply:os.system ['touch CANARY']",
    "a: 1\n- b: ${oc.env:HOME}\n# c",
    "x\nevil: true\n---\n",
    "../../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows",
    "a\0b",
    "\x1b[31mred\x1b]0;title\x07\x1b[2J",
    "[red]x[/red] [link=http://localhost]y[/link] [/]",
    "\u202egnp.exe",
    "\x85\u2028\x0b\x0c",
    "{0.__class__} %s %(asctime)s",
]
WORD = "word"
Made = Callable[[str], str]


def filled(content: Any, word: str) -> Any:
    """The same content with a word for every text in it."""
    if isinstance(content, dict):
        return {key: filled(value, word) for key, value in content.items()}
    if isinstance(content, list):
        return [filled(value, word) for value in content]
    return word if isinstance(content, str) else content


def a_run(folder: Path, word: str) -> Record:
    """A run whose every text is that word: typed, logged, found, said."""
    metrics = {"val/acc": {"final": 0.8, "best": 0.9}, f"val/{word}": {"final": 1.0, "best": 1.0}}
    result = filled(made.a_result(reason="x", non_finite={"step": 1, "where": "x"}), word)
    result |= {
        "metrics": metrics,
        "versions": {word: word},
        "overrides": [f"x.{word}={word}", f"y{word}", f"act={word}"],
    }
    config = yaml.safe_dump({"act": {"name": word, word: [word]}, word: {"x": None}, "objective": "val/acc"})
    run = made.a_run(folder, result | {"status": "completed"}, filled(made.some_vitals(), word), config)
    tags = {f"train/{word}": 1.0, f"activation_grad_norm/0.{word}": 1.0, f"activation_grad_norm/1.{word}": 2.0}
    made.events(run, *(made.record(step, tags | {f"clip/coefficient/{word}": 1.0}) for step in (0, 1)))
    return read(run)


def two_runs(folder: Path, word: str) -> list[Record]:
    first, second = (a_run(folder / f"{len(word)}_{i}", word) for i in range(2))
    failed = replace(second.result, status=Status.FAILED, overrides=[f"act={word}2"])
    return [first, Record(second.folder, failed, second.vitals, second.config, [f"act={word}2"])]


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, and the numbers of its figures."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.drawings: list[Any] = []
        self._is_drawing = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self._is_drawing = ("type", "application/json") in attrs

    def handle_data(self, data: str) -> None:
        if self._is_drawing:
            self.drawings.append(json.loads(data))
            self._is_drawing = False


def skeleton(page: str) -> Skeleton:
    found = Skeleton()
    found.feed(page)
    found.close()
    return found


def texts(content: Any) -> list[str]:
    """Every text in a figure."""
    if isinstance(content, dict):
        return [text for value in content.values() for text in texts(value)]
    if isinstance(content, list):
        return [text for value in content for text in texts(value)]
    return [content] if isinstance(content, str) else []


PAGES: dict[str, Callable[[list[Record]], str]] = {
    "run": lambda records: run_page(records[0], with_remedy),
    "runs": lambda records: runs_page(records, with_remedy),
    "sweep": lambda records: sweep_page(fold(records)),
}


@pytest.mark.parametrize("kind", PAGES)
def test_pages(tally, tmp_path, kind):
    """A page has the same elements, whatever words it shows; Plotly, which reads tags in a text, is given none."""
    page = PAGES[kind]
    plain = skeleton(page(two_runs(tmp_path / WORD, WORD)))
    ours = {text for drawing in plain.drawings for text in texts(drawing) if "<" in text}
    survived = 0
    for i, word in enumerate(HOSTILE):
        found = skeleton(page(two_runs(tmp_path / str(i), word)))
        tags = [text for drawing in found.drawings for text in texts(drawing)]
        safe = all(_tags_in(text) <= _tags_in("".join(ours)) for text in tags)
        survived += safe and found.elements == plain.elements
    tally(f"injection: {kind} page", len(HOSTILE), survived)


def test_page_of_a_cure(tally):
    plain = skeleton(page_of_a_cure(WORD))
    found = [skeleton(page_of_a_cure(word)) for word in HOSTILE]
    survived = sum(each.elements == plain.elements and not any("<" in t for t in axis_titles(each)) for each in found)
    tally("injection: page of a cure", len(HOSTILE), survived)


def page_of_a_cure(word: str) -> str:
    effect = {"status": "failed", "verdict": word, "reason": word, "objective": word, "best": 0.5, "learnt": 0.1}
    full = effect | {"status": "completed", "steps": 9, "seconds": 1.0}
    remedies = [
        {"overrides": [word], "why": word, "source": word, "effect": each} for each in (effect, effect | full, None)
    ]
    side = Side({0: [0.1, 0.2]}, {word: [(0, 0.5), (1, 0.6)]})
    found = {
        **{"outcome": "cured", "overrides": [word], "evidence": word, "sick": full, "remedies": remedies},
        **{"confirmed": [{"overrides": [word], "effect": full}], "cured": [word], "command": word, "cost": 1.0},
        **{"steps": {"all": 1}, "seconds": {"all": 1.0}, "steps_planned": 9, "experiment": f"cured/{word}"},
    }
    return cure_page(found, side, side)


def axis_titles(page: Skeleton) -> list[str]:
    """What Plotly writes beside the axes, in which it would read tags."""
    return [drawing["layout"]["yaxis"]["title"]["text"] for drawing in page.drawings]


def _tags_in(words: str) -> set[tuple[str, tuple[str, ...]]]:
    return set(skeleton(words).elements)


def a_sweep(word: str) -> list[Record]:
    def run(i: int) -> Record:
        metrics = {"val/acc": {"final": 0.5, "best": 0.5 + i / 10}}
        result = {"status": "completed", "metrics": metrics, "verdict": word}
        return Record(
            Path(f"{i}"), Result.from_json(result), overrides=[f"{word}={word}{i % 2}", f"x={word}", f"y={i}"]
        )

    failed = Record(Path("9"), Result(Status.FAILED, word), overrides=[f"x={word}z", "y=9"])
    return [*map(run, range(4)), failed]


def test_spreadsheets(tally):
    """Texts are no formulas; numbers are still numbers."""
    survived = 0
    for word in HOSTILE:
        rows = list(csv.reader(io.StringIO(as_csv(fold(a_sweep(word))), newline="")))
        cells = [cell for row in rows for cell in row]
        same = len({len(row) for row in rows}) == 1 and len(rows) == 6
        survived += same and not any(cell.startswith(FORMULA) for cell in cells) and "0.5" in cells
    tally("injection: sweep.csv", len(HOSTILE), survived)
    numbers = as_csv(fold([Record(Path("a"), overrides=["x=-0.5"]), Record(Path("b"), overrides=["x=+1e-3"])]))
    assert "'" not in numbers


def is_plain_markdown(page: str, plain: str) -> bool:
    """As many lines as with a harmless word, no tag, and no link but those to our own pictures."""
    links = page.count("](") == plain.count("](")
    return "<" not in page and links and len(page.splitlines()) == len(plain.splitlines())


def test_markdown(tally):
    plain = sweep_markdown(WORD)
    survived = sum(is_plain_markdown(sweep_markdown(word), plain) for word in HOSTILE)
    tally("injection: Markdown", len(HOSTILE), survived)


def sweep_markdown(word: str) -> str:
    return markdown(fold(a_sweep(word)))


def steers(output: str) -> bool:
    """Whether an output holds what a terminal acts on."""
    return any(unicodedata.category(letter)[0] == "C" for letter in output if letter != "\n")


def test_terminal(tally, capsys):
    survived = 0
    for word in HOSTILE:
        _print(Summary(text(fold(a_sweep(word))), 0), word)
        with pytest.raises(SystemExit):
            leave(word)
        shown = capsys.readouterr()
        job = visible(line(Result(Status.FAILED, word, overrides=[word]), word))
        survived += not steers(shown.out + shown.err + job)
    tally("injection: terminal", len(HOSTILE), survived)


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
def test_pictures(tally):
    """Matplotlib would read formulas between dollars, and fail at them."""
    profiles, points = {0: [0.1, 0.2], 9: [0.2, 0.3]}, [(0, 1.0), (9, 0.5)]
    tried = [word for word in HOSTILE if "$" in word]
    for word in [*tried, " ".join(HOSTILE)]:
        side = Side(profiles, {word: points})
        assert picture(side, side, (word, word)).startswith(b"\x89PNG")
        assert small_multiples.small_multiples([(word, [Record(Path("a"))])]).startswith(b"\x89PNG")
        for draw in (gradient_by_layer.gradient_by_layer, gradient_heatmap.gradient_heatmap):
            canvas.png(draw(profiles, subtitle=word))
    tally("injection: pictures", 4 * len(tried) + 4, 4 * len(tried) + 4)


def test_experiments_that_a_cure_writes(tally):
    survived = sum(yaml.safe_load(f"{_comment(word)}\na: 1\n") == {"a": 1} for word in HOSTILE)
    words = [word.replace("${", "{") for word in HOSTILE if "\0" not in word]  # which no command line can hold
    typed = ",".join("'{}'".format(word.replace("'", "\\'")) for word in words)
    written = OmegaConf.create(experiment([f"tags=[{typed}]"]))
    survived += sum(one == other for one, other in zip(written["tags"], words, strict=True))
    tally("injection: experiment's YAML", len(HOSTILE) + len(words), survived)
    assert set(written) == {"tags"}


def test_names_of_runs_stay_in_their_folder(tally, tmp_path):
    survived = 0
    paths = ["..", ".", "/", "//", "a/..", "../", "~", "x=..", "x=../..", ",..", ".hidden", "x=/", "\\\\host\\x", "CON"]
    tried = [*HOSTILE, *paths, *(f"{key}={word}" for key in ("tags", "experiment") for word in HOSTILE), "x" * 500]
    for word in tried:
        name = slug([word])
        inside = (tmp_path / name).resolve().parent == tmp_path.resolve()
        survived += inside and len(name) <= 100 and bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name))
    tally("injection: names of runs", len(tried), survived)


@pytest.mark.parametrize("several", [(), ("-m",)], ids=["run", "sweep"])
def test_task_names_stay_in_their_folder(tally, tmp_path, several):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    names = ["..", ".", "../../x", "x/y", "'a\\\\b'", '"a\\tb"']
    survived = 0
    for name in names:
        ended = as_typed.run([*several, f"task_name={name}", "trainer.max_epochs=1"], folder)
        nothing = not [path for path in tmp_path.rglob("*") if path not in (folder, folder.parent)]
        survived += ended.code == 1 and "expected a name without slashes" in ended.err and nothing
    tally("injection: task_name", len(names), survived)


ODD = """
from torch import nn
NAMES = ["<img src=x onerror=alert(1)>", "=cmd|x", "a\\n- evil: 1", "[red]x[/]", "\\x1b[31m", "$x^{$", "__class"]
class Net(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        sizes = [in_features, *[4] * (len(NAMES) - 1), out_features]
        for name, size, next_size in zip(NAMES, sizes, sizes[1:]):
            self.add_module(name, nn.Linear(size, next_size))
    def forward(self, x):
        for layer in self.children():
            x = layer(x.flatten(1))
        return x
"""


def test_a_net_with_odd_names(tally, tmp_path, monkeypatch):
    """Trained to its end: what it leaves is whole, and shows the names as names."""
    (tmp_path / "odd.py").write_text(ODD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADVITALS_ALLOW", "odd")
    words = ["model._target_=odd.Net", "logger=many", "trainer.max_epochs=1", "trainer.accelerator=cpu"]
    ended = as_typed.run([*words, "tags=['<script>','=1','$x^{$','../..']", "hydra.run.dir=run"], tmp_path)
    assert ended.code == 0, ended.err
    page = (tmp_path / "run/report.html").read_text()
    rows = list(csv.reader(io.StringIO((tmp_path / "run/metrics.csv").read_text(), newline="")))
    checks = [
        not steers(ended.out + ended.err),
        "<img src=x" not in page and "&lt;img src=x" in page and "<script>'" not in page,
        not any(cell.startswith(FORMULA) and not _is_number(cell) for row in rows for cell in row),
        yaml.safe_load((tmp_path / "run/.hydra/config.yaml").read_text())["tags"]
        == ["<script>", "=1", "$x^{$", "../.."],
        len(json.loads((tmp_path / "run/vitals.json").read_text())["layers"]) == 7,
        {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"odd.py", "run"},
    ]
    tally("injection: a net with odd names", len(checks), sum(checks))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.filterwarnings("ignore:html5lib's sanitizer is deprecated")
def test_tensorboard_shows_text_without_tags(tally):
    """TEXT is Markdown, which TensorBoard itself cleans."""
    from tensorboard.plugin_util import markdown_to_safe_html

    elements = [element for word in HOSTILE for element in skeleton(markdown_to_safe_html(word)).elements]
    harmless = {"p", "code", "pre", "br", "a", "img", "h1", "h2", "ul", "ol", "li", "strong", "em", "hr", "blockquote"}
    bad = [(tag, names) for tag, names in elements if tag not in harmless or any(n.startswith("on") for n in names)]
    tally("injection: TensorBoard's text", len(HOSTILE), len(HOSTILE) - len(bad))
    assert "javascript:" not in "".join(skeleton_links(markdown_to_safe_html(word)) for word in HOSTILE)


def skeleton_links(page: str) -> str:
    """The addresses that a page leads to."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda _, attrs: found.extend(v or "" for k, v in attrs if k in ("href", "src"))  # type: ignore[method-assign]
    parser.feed(page)
    return " ".join(found)


def test_sweeps_summary_of_hostile_directories(tally, tmp_path, capsys):
    """A sweep's directory may come from somebody else: all its files are written, none elsewhere."""
    for i, word in enumerate(HOSTILE):
        sweep = tmp_path / str(i)
        two_runs(sweep, word)
        summarize(sweep)
        names = {path.name for path in sweep.iterdir() if path.is_file()}
        assert names == {"sweep.csv", "sweep.md", "sweep.html", "sweep.png"}, (word, names)
    tally("injection: a sweep's summary", len(HOSTILE), len(HOSTILE))
