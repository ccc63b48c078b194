"""`.env` and `pyproject.toml` of a checkout: what its owner sets once for all commands."""

import os

import pytest

from gradvitals.app.config.project_settings import LARGEST, admitted, dot_env, read_project_settings
from gradvitals.errors import ConfigError

DOT_ENV = """\
# where the data are
DATA=/data/sets   # of all projects
export KEY='a # b'
EMPTY=
DOUBLE = "line\\nbreak"
GREETING=größe
BELOW=${DATA}/mnist
"""


@pytest.fixture
def file(tmp_path):
    """Writes a file and returns it."""

    def write(content, name=".env"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_variables(file):
    assert dot_env(file(DOT_ENV)) == {
        "DATA": "/data/sets",
        "KEY": "a # b",
        "EMPTY": "",
        "DOUBLE": "line\nbreak",
        "GREETING": "größe",
        "BELOW": "/data/sets/mnist",
    }
    assert dot_env(file("\ufeffA=1\r\nB=2\r\n")) == {"A": "1", "B": "2"}
    assert dot_env(file("")) == dot_env(file("\n\n# nothing\n")) == {}


def test_none_without_a_file(tmp_path):
    assert dot_env(tmp_path / ".env") == {}
    (tmp_path / ".env").mkdir()  # a virtual environment
    assert dot_env(tmp_path / ".env") == {}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("A=1\n\n\nno value\n", 4),
        ("A=1\nSECRET\nB=2\n", 2),
        ("A=1\nB='open\n", 2),
        ("A=1\n=x\n", 2),
        ("1A=x\n", 1),
        ("größe=x\n", 1),
        ("a.b=x\n", 1),
        ("# fine\nA=\0\n", 2),
        ("A=b\nC='d' e\n", 2),
    ],
)
def test_a_malformed_line_is_named_by_its_number_and_not_shown(file, content, line):
    with pytest.raises(ConfigError, match=rf"\.env, line {line}: expected NAME=VALUE") as refused:
        dot_env(file(content))
    assert "SECRET" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_text_or_too_large_is_refused(file):
    with pytest.raises(ConfigError, match=r"\.env: expected UTF-8; got b'\\xff'"):
        dot_env(file(b"A=1\nB=\xff\n"))
    with pytest.raises(ConfigError, match=r"\.env: expected at most 1048576 bytes"):
        dot_env(file("#" * (LARGEST + 1)))


def test_packages(file):
    assert admitted(file('[tool.gradvitals]\nallow = ["mine", "größe"]\n', "pyproject.toml")) == {"mine", "größe"}
    assert admitted(file('[project]\nname = "x"\n', "pyproject.toml")) == frozenset()
    assert admitted(file('[tool.other]\nallow = "all"\n', "pyproject.toml")) == frozenset()
    assert admitted(file("", "other.toml").parent / "none.toml") == frozenset()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[tool.gradvitals]\nallow = 'mine'", "got 'mine'"),
        ("[tool.gradvitals]\nallow = [1]", "got 1"),
        ("[tool.gradvitals]\nallow = ['mine', '../mine']", "got '../mine'"),
        ("[tool.gradvitals]\nallow = ['mine.nets']", "got 'mine.nets'"),
        ("[tool.gradvitals]\nallow = ['a,os']", "got 'a,os'"),
        ("[tool.gradvitals]\nallow = ['']", "got ''"),
        ("[tool.gradvitals]\nallow = {mine = true}", "got {'mine': True}"),
        ("[tool]\ngradvitals = ['allow']", "got a value in place of a table"),
        ("[tool.gradvitals\nallow = ['mine']", "expected TOML; Expected ']'"),
        (b"[tool.gradvitals]\nallow = ['\xff']", "expected TOML; 'utf-8' codec"),
        ("allow = " + "[" * 5000, "expected TOML; "),
    ],
)
def test_another_shape_is_refused_in_one_line(file, content, words):
    with pytest.raises(ConfigError, match=r"pyproject\.toml: expected") as refused:
        admitted(file(content, "pyproject.toml"))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_environment_wins_and_is_what_children_inherit(file, monkeypatch):
    root = file("HAS=new\nHAS_NOT=new\nGRADVITALS_ALLOW=third\n").parent
    file("[tool.gradvitals]\nallow = ['mine']", "pyproject.toml")
    monkeypatch.setattr(os, "environ", {"HAS": ""})
    read_project_settings(root)
    assert os.environ == {"HAS": "", "HAS_NOT": "new", "GRADVITALS_ALLOW": "mine,third"}
    read_project_settings(root)
    assert os.environ["GRADVITALS_ALLOW"] == "mine,third"


def test_errors_end_in_one_line(file, capsys, monkeypatch):
    with pytest.raises(SystemExit, match="1"):
        read_project_settings(file("wrong").parent)
    assert len(capsys.readouterr().err.splitlines()) == 1

    def refuses(*args, **kwargs):
        raise PermissionError(13, "Permission denied", ".env")

    monkeypatch.setattr("pathlib.Path.read_text", refuses)
    with pytest.raises(SystemExit, match="1"):
        read_project_settings(file("A=1").parent)
    assert capsys.readouterr().err == "gradvitals: [Errno 13] Permission denied: '.env'\n"


OWN = ("model._target_=own_nets.Net", "data=iris", "~callbacks.best", "trainer.fast_dev_run=true")


def test_an_own_package_is_admitted_once_by_the_checkouts_own_file_alone(checkout):
    root, elsewhere, run = checkout
    toml = '[tool.gradvitals]\nallow = ["own_nets"]\n'
    (elsewhere / "pyproject.toml").write_text(toml)  # somebody else's run may contain one
    (elsewhere / ".env").write_text("GRADVITALS_ALLOW=own_nets\n")
    refused = run(*OWN)
    assert refused.returncode == 1
    assert "package 'own_nets' is not admitted. If it is yours, set GRADVITALS_ALLOW=own_nets, or" in refused.stderr
    assert 'allow = ["own_nets"] under [tool.gradvitals] in pyproject.toml' in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    (root / "pyproject.toml").write_text(toml)
    assert (done := run(*OWN)).returncode == 0, done.stderr


def test_every_command_reads_the_dot_env_before_torch(checkout):
    root, _, run = checkout
    (root / ".env").write_text("GRADVITALS_DATA=/of/mine\n")
    assert "root: /of/mine" in run("data=mnist", "--cfg", "job", "--resolve").stdout
    assert "root: /shell" in run("data=mnist", "--cfg", "job", "--resolve", GRADVITALS_DATA="/shell").stdout
    (root / ".env").write_text("A=1\nbroken\n")
    for script in ("train.py", "preflight.py", "cure.py", "eval.py", "predict.py", "export.py", "report.py"):
        words = (".",) if script in ("eval.py", "predict.py", "export.py", "report.py") else ()
        done = run(*words, script=script, PYTHONPROFILEIMPORTTIME="1")
        lines = done.stderr.splitlines()
        imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
        said = [line for line in lines if not line.startswith("import time:")]
        assert said == [f"gradvitals: {root / '.env'}, line 2: expected NAME=VALUE, with quotes closed"], script
        assert (done.returncode, "torch" in imported) == (1, False), script
