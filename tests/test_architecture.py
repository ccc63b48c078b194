"""The house of DESIGN: who may import whom, and that Hydra and heavy packages stay where they belong."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = SRC / "gradvitals"
ARROWS = {
    "activations": set(),
    "build": set(),
    "spread": set(),
    "clipping": {"spread"},
    "loops": set(),
    "data": set(),
    "vitals": {"spread"},
    "diagnosis": set(),
    "nets": {"activations", "spread"},
    "theory": {"activations"},
    "results": set(),
    "report": {"diagnosis", "results"},
    "checkup": {"vitals", "theory", "diagnosis"},
    "callbacks": {"vitals", "theory", "diagnosis", "report", "checkup", "loops", "spread", "results"},
    "classifier": {"nets", "clipping", "build", "activations", "spread"},
}


def imports(file: Path) -> set[str]:
    """Every module that a file names in an import."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def rooms() -> dict[str, list[Path]]:
    """Room -> its files."""
    found: dict[str, list[Path]] = {}
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found.setdefault(room, []).append(file)
    return found


@pytest.mark.parametrize("room", sorted(set(rooms()) - {"app", "__init__"}))
def test_arrows(room):
    seen = {name.split(".")[1] for file in rooms()[room] for name in imports(file) if name.startswith("gradvitals.")}
    assert seen - {room} <= ARROWS[room]


def test_results_are_read_without_torch():
    for file in rooms()["results"]:
        assert not {name for name in imports(file) if name.split(".")[0] in ("torch", "lightning")}, file


def test_hydra_lives_in_the_app_alone():
    for room, files in rooms().items():
        if room != "app":
            for file in files:
                assert not {name for name in imports(file) if name.split(".")[0] in ("hydra", "omegaconf")}, file
