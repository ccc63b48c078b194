"""The house: which room may import which, where Hydra and Lightning may be imported, and that no name occurs twice."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = SRC / "gradvitals"
# Room -> the rooms that it may import; `app.x` is the room x of app.
ARROWS = {
    "errors": set(),
    "formatting": set(),
    "build": set(),
    "activations": set(),
    "losses": set(),
    "lr_schedule": {"build", "formatting"},
    "metrics": set(),
    "tabular": {"formatting"},
    "data": {"tabular", "formatting"},
    "diagnosis": set(),
    "loops": {"distributed"},
    "distributed": {"errors"},
    "results": {"formatting"},
    "nets": {"activations"},
    "theory": {"activations"},
    "clipping": {"distributed"},
    "vitals": {"distributed"},
    "signal_propagation": {"vitals", "theory", "diagnosis"},
    "loggers": {"vitals", "results", "build", "errors"},
    "classifier": {
        "nets",
        "clipping",
        "build",
        "activations",
        "losses",
        "lr_schedule",
        "metrics",
        "distributed",
        "tabular",
    },
    "checkpoints": {"distributed", "classifier", "results", "loggers", "errors", "formatting"},
    "monitor": {"vitals", "diagnosis", "signal_propagation", "distributed", "results"},
    "report": {"results", "diagnosis", "signal_propagation", "formatting", "tabular"},
    "displayed_monitor": {"monitor", "loggers", "report"},
    "displayed_results": {"formatting", "report", "results", "signal_propagation"},
    "callbacks": {
        "displayed_monitor",
        "monitor",
        "checkpoints",
        "results",
        "loggers",
        "report",
        "loops",
        "distributed",
        "diagnosis",
        "signal_propagation",
        "vitals",
        "errors",
    },
    "integrations": {
        "displayed_monitor",
        "monitor",
        "loops",
        "loggers",
        "distributed",
        "vitals",
        "diagnosis",
        "errors",
    },
    "app.config": {"build", "distributed", "errors", "formatting"},
    "app.run": {
        "app.config",
        "callbacks",
        "checkpoints",
        "classifier",
        "data",
        "loggers",
        "loops",
        "metrics",
        "nets",
        "report",
        "results",
        "signal_propagation",
        "diagnosis",
        "vitals",
        "distributed",
        "tabular",
        "build",
        "errors",
        "formatting",
    },
    "app.processes": {"app.run", "app.config", "callbacks", "loops", "distributed", "errors", "formatting"},
    "app.sweep": {
        "app.run",
        "app.config",
        "app.processes",
        "callbacks",
        "checkpoints",
        "report",
        "results",
        "distributed",
        "errors",
        "formatting",
    },
    "app.cure": {"app.run", "app.config", "callbacks", "diagnosis", "report", "results", "errors", "formatting"},
    "app.commands": {
        "app.cure",
        "app.sweep",
        "app.processes",
        "app.run",
        "app.config",
        "checkpoints",
        "classifier",
        "data",
        "loggers",
        "report",
        "results",
        "signal_propagation",
        "distributed",
        "tabular",
        "errors",
        "formatting",
    },
}
HYDRA = {room for room in ARROWS if room.startswith("app.")}
NO_LIGHTNING = {
    "vitals",
    "theory",
    "diagnosis",
    "signal_propagation",
    "monitor",
    "nets",
    "results",
    "report",
    "tabular",
    "displayed_monitor",
    "loggers",
    "displayed_results",
}


def imports(file: Path) -> set[str]:
    """Every module that a file names in an import, with the submodules that it takes from a package."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in ("gradvitals", "gradvitals.app"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def room_of(dotted: str) -> str:
    """The room of a module, without the package's own name in front."""
    first, *rest = dotted.split(".")
    return f"app.{rest[0]}" if first == "app" and rest else first


def rooms() -> dict[str, list[Path]]:
    """Room -> its files; the two packages around them, `gradvitals` and `app`, and what starts the command are no rooms."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in PACKAGE.rglob("*.py"):
        dotted = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        if dotted not in ("__init__", "__main__", "app.__init__"):
            found[room_of(dotted)].append(file)
    return found


def test_every_room_has_its_arrows():
    assert set(rooms()) == set(ARROWS)


@pytest.mark.parametrize("room", sorted(ARROWS))
def test_arrows(room):
    for file in rooms()[room]:
        ours = {name.removeprefix("gradvitals.") for name in imports(file) if name.startswith("gradvitals.")}
        assert {room_of(name) for name in ours} - {room} <= ARROWS[room], file


@pytest.mark.parametrize(("package", "allowed"), [("hydra", HYDRA), ("lightning", set(ARROWS) - NO_LIGHTNING)])
def test_packages_stay_in_their_rooms(package, allowed):
    also = {"hydra": ("hydra", "omegaconf")}.get(package, (package, "pytorch_lightning"))
    for room in set(rooms()) - allowed:
        for file in rooms()[room]:
            assert not {name for name in imports(file) if name.split(".")[0] in also}, file


def test_results_are_read_without_torch():
    for file in rooms()["results"]:
        assert not {name for name in imports(file) if name.split(".")[0] in ("torch", "lightning")}, file


# What is measured, collected and judged under one name; a command, its table and its picture.
MIRRORS = {"cure", "dead_units", "identical_units", "noise_scale", "non_finite", "preflight", "training_state"}


def test_no_two_files_or_public_classes_share_a_name():
    files, classes = defaultdict(list), defaultdict(list)
    for file in PACKAGE.rglob("*.py"):
        files[file.stem].append(file)
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(file)
    shared = {name for name, where in files.items() if len(where) > 1}
    assert shared - {"__init__"} == MIRRORS
    assert {name: where for name, where in classes.items() if len(where) > 1} == {}
