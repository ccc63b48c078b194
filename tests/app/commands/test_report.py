"""``python src/report.py``: one page for whatever is given, one line where nothing can be done."""

from tests.report.made import a_result, a_run


def test_one_run_gets_its_page_in_its_directory(command, tmp_path):
    folder = a_run(tmp_path / "runs" / "a")
    done = command("runs/a", script="report.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("report       runs/a/report.html (2.0 MB)")
    assert "vanishing" in (folder / "report.html").read_text()


def test_several_get_one_in_the_working_folder_or_where_it_is_wanted(command, tmp_path):
    a_run(tmp_path / "runs" / "a")
    a_run(tmp_path / "runs" / "b", a_result(overrides=["act=elu"]))
    assert command("runs", script="report.py").returncode == 0
    assert "2 runs" in (tmp_path / "report.html").read_text()
    assert command("runs/a", "runs/b", "-o", "other.html", script="report.py").stdout.startswith(
        "report       other.html"
    )


def test_a_folder_without_runs_is_one_line(command, tmp_path):
    done = command("nowhere", script="report.py")
    assert done.returncode == 1
    assert done.stderr.startswith("gradvitals: nowhere: no such directory. Expected a run directory")
    assert done.stderr.count("\n") == 1
    done = command(".", "-o", "no/folder.html", script="report.py")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_help_comes_without_heavy_imports(command):
    done = command("--help", script="report.py", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert "DIR" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in loaded
    assert not loaded & {"torch", "numpy", "plotly", "hydra", "rich", "yaml", "tensorboard"}
