"""What goes to a package index: both archives, complete, with metadata that the index accepts."""

import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import PurePosixPath

from gradvitals import __version__
from tests.conftest import ROOT


def test_the_index_would_accept_them(archives):
    call = [sys.executable, "-m", "twine", "check", "--strict", *map(str, archives.iterdir())]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_source_archive_contains_the_template_and_nothing_of_its_owner(archives):
    (file,) = archives.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {PurePosixPath(name).relative_to(name.partition("/")[0]).as_posix() for name in archive.getnames()}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    needed = {name for name in tracked if not name.startswith((".ci/", ".git"))}
    assert not needed - names
    made = {"PKG-INFO", "setup.cfg"}
    foreign = {name for name in names - set(tracked) - made if PurePosixPath(name).suffix and "egg-info" not in name}
    assert not {name for name in foreign if not (ROOT / name).exists()}
    assert not {name for name in names if "logs" in name or name.startswith((".env", "conf/local"))}


def test_the_wheel_contains_the_package_its_types_and_its_configs(archives):
    (file,) = archives.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = HeaderParser().parsestr(archive.read(metadata).decode())
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"gradvitals", "hydra_plugins"}
    assert {"gradvitals/py.typed", "gradvitals/report/pages/assets/page.js"} <= names
    assert not {name for name in names if "logs/" in name or "__pycache__" in name}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    configs = {f"gradvitals/{name}" for name in tracked if name.startswith("conf/")}
    assert {name for name in names if name.startswith("gradvitals/conf/")} == configs
    library = archives.parent / "library"  # as `pip install .` builds it, without a source archive in between
    call = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(library)]
    subprocess.run(call, cwd=archives.parent, capture_output=True, check=True)
    assert {file.relative_to(library).as_posix() for file in library.rglob("*.yaml")} == configs
    template = "gradvitals/app/commands/template/"
    assert {f"{template}dot_gitignore.template", f"{template}src/my_project/net.py.template"} <= names
    assert {"Typing :: Typed", "Intended Audience :: Science/Research"} <= set(fields.get_all("Classifier"))
    assert "plain" in fields["Summary"]
    assert fields["Keywords"]
    assert fields["Version"] == __version__
