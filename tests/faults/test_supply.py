"""Where code comes from, and where data go: all pinned, nothing bad, nobody told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gradvitals.app.run.environment import NO_TELEMETRY
from tests.conftest import CONF, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MALICIOUS = ("2.6.2", "2.6.3")  # of lightning


def wanted() -> list[Requirement]:
    """What the project asks for, extras included; none is the project itself."""
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    found = [Requirement(line) for line in [*PROJECT["dependencies"], *extras]]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def needed() -> Iterator[str]:
    """All that these need in turn, of what is installed."""
    waiting, seen = [(requirement.name, frozenset(requirement.extras)) for requirement in wanted()], set()
    while waiting:
        name, extras = waiting.pop()
        if (canonicalize_name(name), extras) in seen:
            continue
        seen.add((canonicalize_name(name), extras))
        yield canonicalize_name(name)
        waiting += _needs(name, extras)


def _needs(name: str, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    found = [Requirement(line) for line in lines]
    chosen = [r for r in found if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras or {""})]
    return [(requirement.name, frozenset(requirement.extras)) for requirement in chosen]


def test_all_is_pinned(tally):
    names, pinned = sorted(set(needed())), pins()
    missing = [name for name in names if name not in pinned]
    assert not missing, f"constraints.txt: expected {missing}"
    tally("supply: pinned", len(names), len(names))
    assert len(names) > 60


def test_pins_are_what_is_asked_for_and_installed(tally):
    pinned = pins()
    for requirement in wanted():
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement
    installed = {}
    for name in set(needed()):
        try:
            installed[name] = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    other = {name: version for name, version in installed.items() if Version(version.public) != pinned[name]}
    assert not other, f"installed beside constraints.txt: {other}"
    tally("supply: installed as pinned", len(installed), len(installed))


@pytest.mark.parametrize("version", MALICIOUS)
def test_malicious_uploads_are_excluded_by_the_requirement(tally, version):
    specifier = next(requirement.specifier for requirement in wanted() if requirement.name == "lightning")
    tally("supply: malicious uploads", 1, int(not specifier.contains(version, prereleases=True)))
    assert specifier.contains("2.6.4")
    assert pins()["lightning"] == Version(metadata.version("lightning")) not in map(Version, MALICIOUS)


WATCHED = """
import json, os, runpy, sys
LOCAL = ("127.0.0.1", "::1", "localhost", "", None)
def listen(event, args):
    if event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request"):
        return
    if event == "socket.connect" and not isinstance(args[1], tuple):
        return  # a socket of this machine's
    place = args[1] if event in ("socket.connect", "socket.sendto") else args[0]
    host = place[0] if isinstance(place, tuple) else place
    if host not in LOCAL:
        print(f"CALLED {event} {host}", file=sys.stderr, flush=True)
        os._exit(99)
sys.addaudithook(listen)
for script, *words in json.loads(sys.argv[1]):
    sys.argv = [script, *words]
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name="__main__")
"""


def watched(folder: Path, *commands: tuple[str, ...]) -> subprocess.CompletedProcess:
    """Commands in a process that ends with 99 as soon as it asks for another machine."""
    call = [sys.executable, "-c", WATCHED, json.dumps(commands)]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_nothing_phones_home(tally, tmp_path):
    src = f"{ROOT}/src"
    commands = [
        (f"{src}/train.py", "trainer.max_epochs=1", "trainer.accelerator=cpu", "logger=many", "hydra.run.dir=run"),
        (f"{src}/eval.py", "run"),
        (f"{src}/export.py", "run"),
        (f"{src}/report.py", "run"),
    ]
    done = watched(tmp_path, *commands)
    assert done.returncode == 0, done.stderr
    assert "http" not in done.stdout + done.stderr  # no advertisement either
    assert (tmp_path / "run/best.safetensors").exists()
    tally("supply: commands that ask no other machine", len(commands), len(commands))


def test_the_watch_sees_what_asks(tmp_path):
    """Else the test above proves nothing."""
    (tmp_path / "asks.py").write_text("import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)\n")
    done = watched(tmp_path, (str(tmp_path / "asks.py"),))
    assert (done.returncode, "CALLED socket" in done.stderr) == (99, True)


def test_loggers_stay_on_this_machine():
    wandb = yaml.safe_load((CONF / "logger/wandb.yaml").read_text())["wandb"]
    mlflow = yaml.safe_load((CONF / "logger/mlflow.yaml").read_text())["mlflow"]
    assert wandb["offline"] is True
    assert mlflow["tracking_uri"].startswith("sqlite:///${paths.logs}")
    comet = yaml.safe_load((CONF / "logger/comet.yaml").read_text())["comet"]
    aim = yaml.safe_load((CONF / "logger/aim.yaml").read_text())["aim"]
    assert (comet["online"], NO_TELEMETRY["COMET_START_ONLINE"]) == (None, "false")
    assert aim["repo"] == "${paths.logs}"


def test_telemetry_is_off_unless_the_user_says_otherwise():
    show = "import os; print({k: v for k, v in os.environ.items()})"
    code = f"from gradvitals.app.run.environment import disable_telemetry; disable_telemetry(); {show}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"'{name}': '{value}'" in done.stdout for name, value in NO_TELEMETRY.items())
    launch = (ROOT / "src/gradvitals/app/commands/entry_point.py").read_text()
    assert launch.index("disable_telemetry()") < launch.index("main()\n")


@pytest.mark.filterwarnings("ignore:html5lib's sanitizer is deprecated")
def test_tensorboard_answers_this_machine_alone():
    """By its own default, and by our command."""
    from tensorboard import program

    flags = SimpleNamespace(host=None, bind_all=False, port=0, reuse_port=False, path_prefix="", window_title="")
    server = program.WerkzeugServer(lambda environment, start: [], flags)
    try:
        assert server.server_address[0] in ("127.0.0.1", "::1")
    finally:
        server.server_close()
    assert '"--host=localhost"' in (ROOT / "src/gradvitals/app/commands/board.py").read_text()


def test_nobody_binds_to_all_addresses():
    files = [
        *ROOT.glob("src/**/*.py"),
        *ROOT.glob("conf/**/*.yaml"),
        *ROOT.glob("docs/**/*"),
        ROOT / "Makefile",
        ROOT / "README.md",
    ]
    kinds = (".py", ".yaml", ".md", "")
    texts = {file: file.read_text() for file in files if file.suffix in kinds and file.is_file()}
    assert not [file for file, text in texts.items() if re.search(r"bind_all|0\.0\.0\.0", text)]
