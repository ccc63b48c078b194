"""``gradvitals new``: what it makes, what it refuses, and that its configs extend the packaged ones."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gradvitals.app.commands.new_project import new_command, new_project
from gradvitals.app.commands.script import ABOUT, COMMANDS, run_script
from gradvitals.app.config.compose import compose, compose_run_config, options_of_groups
from gradvitals.app.config.conf_folder import PACKAGED, conf_folder, is_project
from gradvitals.app.config.offers import no_such_option
from gradvitals.app.config.project_settings import admitted
from gradvitals.app.config.remedy_overrides import _choices, _flattened, _read, with_remedy
from gradvitals.app.cure.experiment_file import experiment
from gradvitals.errors import ConfigError
from tests.conftest import ROOT

SHORT = ("debug=one_batch", "trainer=cpu", "report=false")


@pytest.fixture
def project(tmp_path) -> Path:
    folder = tmp_path / "a b" / "my-own-project"
    new_project(folder)
    return folder


def test_its_files_have_its_names(project):
    files = {file.relative_to(project).as_posix(): file.read_text() for file in project.rglob("*") if file.is_file()}
    expected = {".gitignore", ".env.example", ".github/workflows/test.yml", "src/my_own_project/net.py", "Makefile"}
    assert expected | {f"src/{name}.py" for name in COMMANDS} <= set(files)
    assert list(ABOUT) == list(COMMANDS)
    assert not [name for name, text in files.items() if "my_project" in text or "my-project" in text or "{" in name]
    assert max(len(files[f"src/{name}.py"].splitlines()) for name in ABOUT) <= 10
    assert admitted(project / "pyproject.toml") == {"my_own_project"}
    ours = {"src/train.py", "src/eval.py"}
    code = {name: files[name].partition('"""\n')[2] for name in ours}
    assert code == {name: (ROOT / name).read_text().partition('"""\n')[2] for name in ours}  # the same mechanism


def test_they_are_linted(project):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "."],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_its_configs_are_found_beside_the_packaged_ones(project):
    conf = project / "conf"
    found = compose(["act=elu"], conf)
    assert (found.choices["model"], found.choices["data"], found.choices["act"]) == ("mine", "mine", "elu")
    assert found.config.model._target_ == "my_own_project.net.Net"
    assert (found.config.trainer.max_epochs, found.config.act.alpha) == (30, 1.0)
    assert compose(["model=bn", "data=digits"], conf).config.model.norm == "batch"
    assert compose(["experiment=deep_sigmoid"], conf).config.model.depth == 10
    assert compose(["experiment=vanishing"], conf).choices["model"] == "plain"  # an experiment wins over the project
    assert {"mine", "bn"} <= set(options_of_groups(conf)["model"])
    assert no_such_option("model", "mien", (), conf) == "model=mien: no such option; expected model=mine"
    assert no_such_option("act", "ellu", (), conf).endswith("expected act=elu, act=selu or act=relu")


def test_a_file_of_the_project_comes_before_the_packaged_one_of_its_name(project):
    (project / "conf/act").mkdir()
    (project / "conf/act/elu.yaml").write_text("name: elu\nalpha: 0.5\n")
    assert compose(["act=elu"], project / "conf").config.act.alpha == 0.5
    assert compose(["act=elu"]).config.act.alpha == 1.0


@pytest.mark.parametrize(
    "typed", [[], ["experiment=deep_sigmoid"], ["model=bn", "data=digits"], ["experiment=exploding"]]
)
def test_what_a_page_recommends_and_a_cure_writes_know_the_project(project, typed):
    conf = project / "conf"
    files = [_read(conf, group, option) for group, option in _flattened(typed, conf)]
    chosen = compose(typed, conf).choices
    found = _choices(typed, files, conf)
    assert found == {group: chosen[group] for group in found}
    (conf / "experiment/again.yaml").write_text(f"# @package _global_\n{experiment(typed, conf)}")
    assert compose(["experiment=again"], conf).plain() == compose(typed, conf).plain()
    compose(with_remedy(typed, ["act=elu", "init=auto"], conf), conf)


def test_without_configs_of_its_own_it_has_the_packaged_ones(project, monkeypatch):
    monkeypatch.setenv("GRADVITALS_PROJECT", str(project))
    assert conf_folder() == project / "conf"
    shutil.rmtree(project / "conf")
    assert conf_folder() == PACKAGED


def test_a_project_is_marked_by_its_table(project):
    file = project / "pyproject.toml"
    for text, marked in (
        ('[tool."gradvitals"]\n', True),
        ("x = 'tool.gradvitals'\n", False),
        ("[tool.gradvitals\n", False),
    ):
        file.write_text(text)
        assert is_project(project) == marked


def test_its_defaults_need_their_first_line(project, tmp_path):
    (project / "conf/project/default.yaml").write_text("trainer:\n  max_epochs: 3\n")
    with pytest.raises(
        ConfigError, match="conf/project/default.yaml: expected `# @package _global_` as the first line"
    ):
        compose_run_config([], tmp_path, project / "conf")


def test_it_trains_from_any_folder(project, warm_command, tmp_path):
    done = warm_command(*SHORT, "act=elu", script=str(project / "src/train.py"))
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "logs/train/runs").iterdir()
    config = OmegaConf.load(run / ".hydra/config.yaml")
    assert (config.model._target_, config.act.name) == ("my_own_project.net.Net", "elu")
    assert not (project / "logs").exists()


def test_its_errors_are_one_line_and_know_both_folders(project, warm_command):
    done = warm_command("model=mien", script=str(project / "src/train.py"))
    assert (done.returncode, done.stderr) == (1, "gradvitals: model=mien: no such option; expected model=mine\n")
    listed = warm_command("--help", script=str(project / "src/train.py")).stdout
    assert "  model       the network: its layers, norms and shortcuts\n              mine, bn, cnn" in listed
    assert "deep_sigmoid" in listed
    (project / "pyproject.toml").write_text("")
    done = warm_command(*SHORT, script=str(project / "src/train.py"))
    expected = f"gradvitals: {project / 'pyproject.toml'}: expected a table [tool.gradvitals], which marks a project"
    assert done.stderr.startswith(expected)
    assert len(done.stderr.splitlines()) == 1


def test_a_script_of_another_name_is_one_line(project):
    with pytest.raises(
        SystemExit, match=r"^gradvitals: fit\.py: expected a script that is named after a command: train, "
    ):
        run_script(str(project / "src/fit.py"))


def test_only_its_own_pyproject_admits_its_modules(project, warm_command, tmp_path):
    toml = project / "pyproject.toml"
    shutil.copy(toml, tmp_path)  # the working folder may contain somebody else's
    toml.write_text(toml.read_text().replace('allow = ["my_own_project"]', "allow = []"))
    done = warm_command(*SHORT, script=str(project / "src/train.py"))
    assert done.returncode == 1
    assert "package 'my_own_project' is not admitted" in done.stderr


def test_tab_completes_its_options(project, command):
    done = command("-sc", "query=bash", script=str(project / "src/train.py"), COMP_LINE="python src/train.py model=m")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "model=mine", "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("9lives", "'9lives': expected a name that begins with a letter"),
        ("my.project", "'my.project': expected a name that begins with a letter"),
        ("my project", "'my project': expected a name that begins with a letter"),
        ("größe", "'größe': expected a name that begins with a letter"),
        ("class", "'class': expected a name that begins with a letter"),
        ("project-", "'project-': expected a name that begins with a letter"),
        ("torch", "torch: is the name of a Python module already"),
        ("json", "json: is the name of a Python module already"),
        ("hydra-plugins", "hydra-plugins: is the name of a Python module already"),
        ("train", "train: is the name of a script in src/ already"),
    ],
)
def test_a_name_that_no_package_can_have_is_refused(tmp_path, name, expected):
    with pytest.raises(ConfigError) as refused:
        new_project(tmp_path / name)
    assert str(refused.value).startswith(expected)
    assert not (tmp_path / name).exists()


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.md").touch()
    monkeypatch.setattr(sys, "argv", ["gradvitals", str(tmp_path / "mine")])
    with pytest.raises(SystemExit, match="1"):
        new_command("gradvitals new")
    expected = f"gradvitals: {tmp_path / 'mine'}: expected a folder that does not exist yet, or is empty; it contains something\n"
    assert capsys.readouterr().err == expected
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.md"]
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="it is a file"):
        new_project(tmp_path / "file")


def test_an_empty_folder_may_be_the_working_one_and_a_repository(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine/.git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.setattr(sys, "argv", ["gradvitals", "."])
    new_command("gradvitals new")
    assert "python src/train.py act=elu" in capsys.readouterr().out
    assert (tmp_path / "mine/src/mine/net.py").is_file()


def test_in_its_folder_the_installed_command_names_the_script(project, command):
    call = [sys.executable, "-P", "-m", "gradvitals", "train", "model.hidden=[3,4]"]
    done = subprocess.run(call, cwd=project, capture_output=True, text=True, check=False)
    expected = "python src/train.py 'model.hidden=[3,4]'"
    assert done.stderr == (
        f"gradvitals: train: this folder is a project, whose own scripts read its conf/; expected {expected}\n"
    )
    assert done.returncode == 1


def test_other_hydra_applications_do_not_get_the_packaged_configs(tmp_path):
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    for folder in (tmp_path / "conf", tmp_path / "config"):
        folder.mkdir()
        with initialize_config_dir(str(folder), version_base="1.3"):
            sources = GlobalHydra.instance().config_loader().get_sources()
            assert "gradvitals" not in {source.provider for source in sources}
