"""A project of one's own on the installed wheel, in an environment with what the wheel asks for and nothing else."""

import json
from pathlib import Path

import pytest

SHORT = ("trainer=cpu", "trainer.max_epochs=2", "report=false")


def results(folder: Path) -> dict[str, dict]:
    return {file.parent.name: json.loads(file.read_text()) for file in folder.rglob("result.json")}


def files_of(environment) -> set[Path]:
    """What the installed package and the folder of all packages contain, without compiled modules."""
    (site,) = environment.python.parents[1].glob("lib/python*/site-packages")
    found = {*(site / "gradvitals").rglob("*"), *site.iterdir()}
    return {path for path in found if "__pycache__" not in path.parts}


def test_without_its_extra_a_script_is_one_line(environment, tmp_path):
    done = environment().gradvitals("new", "my-project", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'first        pip install "gradvitals[app]"' in done.stdout
    done = environment().script("src/train.py", "act=elu", cwd=tmp_path / "my-project")
    expected = 'gradvitals: train needs a package: hydra. Install it by pip install "gradvitals[app]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_project_trains_tests_sweeps_and_cures_itself(environment, tmp_path):
    installed = environment("app", others=("pytest",))
    before, project = files_of(installed), tmp_path / "my project's" / "my-project"
    project.parent.mkdir()
    done = installed.gradvitals("new", str(project), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "first" not in done.stdout

    def run(*words: str) -> str:
        done = installed.script(*words, cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "verdict " in run("src/train.py", *SHORT, "act=elu")
    (trained,) = (project / "logs/train/runs").iterdir()
    assert results(project)[trained.name]["status"] == "completed"
    assert "act=elu" in run("src/train.py", "-m", "act=elu,tanh", *SHORT)
    assert sorted(found["status"] for found in results(project / "logs/train/multiruns").values()) == ["completed"] * 2
    assert "2 passed" in run("-m", "pytest", "-p", "no:cacheprovider")
    assert "test/loss" in run("src/eval.py", str(trained))
    assert run("src/export.py", str(trained)).startswith("weights ")
    assert run("src/report.py", str(trained)).startswith("report ")
    assert "layers.0.0" in run("src/preflight.py", "trainer=cpu")
    cured = run("src/cure.py", "experiment=deep_sigmoid", "cure.name=it", "trainer=cpu", "trainer.max_epochs=8")
    assert "type         python src/train.py experiment=cured/it" in cured
    assert "verdict " in run("src/train.py", "experiment=cured/it", *SHORT)
    assert run("src/train.py", "resume=latest", "trainer.max_epochs=3")
    assert files_of(installed) == before  # nothing is written into the installed package


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_a_project_runs_and_cured_experiments_go_to_the_working_folder(environment, tmp_path):
    installed = environment("app", others=("pytest",))
    before = files_of(installed)
    done = installed.gradvitals("train", *SHORT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "-m gradvitals board logs/train/runs/" in done.stdout
    deep = ("act=sigmoid", "model.depth=8", "trainer=cpu", "trainer.max_epochs=4")
    done = installed.gradvitals("cure", *deep, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "logs/cure/runs").iterdir()
    assert f"experiment   {run.relative_to(tmp_path)}/cured.yaml\n" in done.stdout
    (typed,) = (line.split()[1:] for line in done.stdout.splitlines() if line.startswith("type "))
    assert typed[:2] == ["gradvitals", "train"]
    assert "model.depth=8" in typed
    assert (run / "cured.yaml").read_text().splitlines()[1] == f"# {' '.join(typed)}"
    done = installed.gradvitals("train", "-m", "seed=0,1", "trainer=ddp_cpu", *SHORT[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {entry.name for entry in tmp_path.iterdir()} == {"logs"}
    assert files_of(installed) == before
