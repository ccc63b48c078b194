"""The README says what is there."""

import importlib.util
import re
import subprocess

import pytest
from hydra import compose, initialize_config_dir

from tests.conftest import CONF, ROOT
from tests.test_architecture import ARROWS

README = (ROOT / "README.md").read_text()


def script(name: str):
    spec = importlib.util.spec_from_file_location(name.rpartition("/")[2], ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_groups_is_that_of_conf():
    assert script("groups").with_table(README) == README


COMMANDS = re.findall(r"^(?:GRADVITALS_ALLOW=\S+ )?python src/train.py ([^#\n]+)", README, re.MULTILINE)


@pytest.mark.parametrize(
    "words", [c.strip() for c in COMMANDS if not c.startswith(("-", "resume", "weights", "sweep="))]
)
def test_the_readmes_commands_compose(words):
    import shlex

    with initialize_config_dir(str(CONF), version_base="1.3"):
        compose("train", shlex.split(words))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_tree_has_every_room(page):
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
