"""The README says what is there."""

import re
import subprocess

from gradvitals.diagnosis.outcome import HEALTHY, NOT_LEARNING, UNDECIDED
from gradvitals.diagnosis.rules import rules
from tests.conftest import ROOT
from tests.pages import script
from tests.test_architecture import ARROWS

README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"


# What the README says of the benchmarks: a page, the beginning of its line, and what is in the README and in the line.
FIGURES = (
    ("ZOO", "| **gradvitals** |", {"46 of 46": "46 of 46", "no alarm on 32": "0 of 32"}),
    ("ZOO", "## The cure:", {"18 of 18 sick runs": "18 of 18"}),
    ("ZOO", "1.71 full trainings", {"1.7 trainings": "1.71"}),
    ("ZOO", "- sick, not called healthy:", {"56 of 61": "56 of 61"}),
    ("PROGRAMS", "| found |", {"29 of 30": "29 of 30"}),
    ("PROGRAMS", "| cause named |", {"the cause named in 27": "27 of 30"}),
    ("PROGRAMS", "| alarms on fixed", {"no alarm on 41": "0 of 41"}),
    ("WILD", "| runs that learn: false alarm at the end", {"121 trainings that learn": "0 of 121"}),
    ("WILD", "| runs that fail: not called healthy", {"202 of 212": "202 of 212"}),
    ("RESULTS", "| `fashion_bn`, batch 32", {"0.87 to 1.02": "**0.87**"}),
    ("RESULTS", "| 3 x 100, BatchNorm", {"1.08 to 1.39": "**1.08**"}),
    ("RESULTS", "| digits, the default", {"0.87 to 1.02": "**1.02**", "1.08 to 1.39": "**1.39**"}),
    ("RESULTS", "| `gradvitals.watch`, every 50 steps", {"1.05 to 1.08": "**1.079**"}),
    ("RESULTS", '| `wandb.watch(log="gradients"', {"1.11 to 1.13": "**1.133**"}),
)


def test_the_readme_is_for_the_first_five_minutes():
    assert len(README.splitlines()) <= 150


def test_the_tables_of_options_are_those_of_conf():
    page = (DOCS / "options.md").read_text()
    assert script("groups").with_tables(page) == page


def test_a_guide_says_what_each_verdict_means():
    page = (DOCS / "guides/diagnose.md").read_text()
    of_table = re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE)
    of_list = re.findall(r"^- `([a-z_]+)`:", page, re.MULTILINE)
    assert sorted(of_table) == sorted(rule.name for rule in rules())
    assert of_list == [HEALTHY, NOT_LEARNING, UNDECIDED]


def test_the_readmes_figures_are_those_of_the_benchmarks():
    """Each of them is looked for in the line of its page; `46 of 46` there may be `46 of 46, 100.0 %`."""
    for page, start, figures in FIGURES:
        line = next(
            line for line in (ROOT / f"benchmarks/{page}.md").read_text().splitlines() if line.startswith(start)
        )
        for words, in_the_page in figures.items():
            assert words in README
            assert in_the_page in line, (page, start)


def test_the_tree_has_every_room():
    page = "CONTRIBUTING.md"
    tree = next(block for block in (ROOT / page).read_text().split("```") if "classifier.py" in block)
    of_app = re.split(r"\s+app/", tree)[1]
    for room in ARROWS:
        name = room.removeprefix("app.")
        assert re.search(rf"\b{name}\b", of_app if room.startswith("app.") else tree), room


def test_the_arrows_point_to_an_earlier_line():
    arrows = (
        (ROOT / "CONTRIBUTING.md")
        .read_text()
        .partition("## Which folder may import which")[2]
        .partition("\n\nHydra")[0]
    )
    lines = re.findall(r"^\d\. (.*)$", arrows, re.MULTILINE)
    groups = [re.findall(r"[a-z_.]+", group) for line in lines for group in re.findall(r"`(.*?)`", line)]
    order = {room: place for place, group in enumerate(groups) for room in group}
    assert set(order) == set(ARROWS)
    assert not [(room, other) for room, others in ARROWS.items() for other in others if order[other] >= order[room]]


def test_the_picture_of_the_rooms_is_that_of_the_arrows():
    arrows = script("arrows")
    assert arrows.arrows() == ARROWS
    assert (ROOT / "docs/arrows.svg").read_text() == arrows.svg(ARROWS)


def test_the_design_names_every_room():
    table = (ROOT / "docs/design.md").read_text().partition("| rooms |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`([\w.]+)`", row.split("|")[1])}
    assert named == set(ARROWS)


def test_the_page_of_speed_ends_with_what_was_tried():
    tried = (ROOT / "benchmarks/speed/tried.md").read_text()
    assert (ROOT / "benchmarks/RESULTS.md").read_text().endswith(tried)


def test_make_help_lists_every_target():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"make {target}" in done.stdout for target in targets)


def test_no_package_host_is_named():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    hosts = re.compile("py" r"pi\.org|python" r"hosted|npm" r"js\.org|deb\.deb" "ian")
    assert not [
        name
        for name in tracked
        if name.endswith((".md", ".txt", ".toml", ".py", ".yaml", "run", "Makefile"))
        and hosts.search((ROOT / name).read_text())
    ]
