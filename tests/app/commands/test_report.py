"""``python src/report.py``: one page for whatever is given, one line where nothing can be done."""

from tests.report.made import a_result, a_run


def test_one_run_gets_its_page_in_its_directory(command, tmp_path):
    folder = a_run(tmp_path / "runs" / "a")
    done = command("runs/a", script="report.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("report       runs/a/report.html (2.0 MB)")
    assert "vanishing" in (folder / "report.html").read_text()


def test_several_get_one_in_the_folder_that_contains_them_or_where_it_is_wanted(command, tmp_path):
    first = a_run(tmp_path / "runs" / "a")
    a_run(tmp_path / "runs" / "b", a_result(overrides=["act=elu"]))
    (first / "report.html").touch()
    assert command("runs", script="report.py").stdout.startswith("report       runs/report.html")
    page = (tmp_path / "runs/report.html").read_text()
    assert "2 runs" in page
    assert '<a href="a/report.html">' in page
    done = command("runs/a", "runs/b", "-o", "other.html", script="report.py")
    assert done.stdout.startswith("report       other.html")
    assert '<a href="runs/a/report.html">' in (tmp_path / "other.html").read_text()


def test_the_working_folder_gets_no_page_that_nobody_asked_for(command, tmp_path, tmp_path_factory):
    """It may be a repository, or several runs may have nothing in common but the root of all folders."""
    a_run(tmp_path / "logs" / "a")
    a_run(tmp_path / "saved" / "b", a_result(overrides=["act=elu"]))
    assert command("logs", "saved", script="report.py").stdout.startswith("report       logs/report.html")
    far = a_run(tmp_path_factory.mktemp("far") / "c")
    done = command(str(far), "logs/a", script="report.py")
    assert done.stdout.startswith(f"report       {far.parent}/report.html"), done.stderr
    assert not list(tmp_path.glob("*.html"))


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
