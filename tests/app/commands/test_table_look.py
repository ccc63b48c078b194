"""What was read of a table: before training, in result.json and on the page, or alone."""

import json
import logging

import pytest

from gradvitals.data.csv import Csv
from tests.tabular.made import CHURN


@pytest.fixture
def csv(tmp_path, monkeypatch):
    """The overrides of a run on a small table whose data module describes it as the one made by hand."""
    setup = Csv.setup

    def described(self, stage=None):
        setup(self, stage)
        self.description = CHURN

    monkeypatch.setattr(Csv, "setup", described)
    file = tmp_path / "small.csv"
    file.write_text("a,b,t\n" + "".join(f"{i},{i * 7 % 5},{i % 2}\n" for i in range(60)))
    return ["data=csv", f"data.path={file}", "data.target=t", "trainer.max_epochs=1"]


def test_it_is_logged_once_before_training_and_saved(train_here, csv, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        run_dir = train_here(*csv, run_dir=tmp_path / "run")
    assert caplog.text.count("cp1252, separator ;, decimal comma") == 1
    assert caplog.text.index("CustomerID") < caplog.text.index("completed")
    assert json.loads((run_dir / "result.json").read_text())["table"] == json.loads(json.dumps(CHURN.to_dict()))
    assert "cp1252, separator ;, decimal comma" in (run_dir / "report.html").read_text()


def test_other_data_have_no_table(train_here, tmp_path):
    run_dir = train_here("data=iris", "trainer.max_epochs=1", run_dir=tmp_path / "run")
    assert json.loads((run_dir / "result.json").read_text())["table"] is None


def test_the_table_alone_trains_nothing_and_leaves_no_run(train_here, csv, tmp_path, capsys):
    run_dir = train_here(*csv, "debug=table", run_dir=tmp_path / "run")
    out, err = capsys.readouterr()
    assert out.startswith("table        churn.csv: cp1252")
    assert "completed" not in out
    assert err == ""
    assert not run_dir.exists()


def test_the_table_alone_of_other_data_is_refused(train_here, capsys):
    with pytest.raises(SystemExit) as ended:
        train_here("debug=table", "data=iris")
    assert ended.value.code == 1
    assert "debug=table: describes the table of data=csv; got data=iris" in capsys.readouterr().err


def test_a_command_line_shows_the_table_alone(warm_command, csv, tmp_path):
    # In another process the data module is the real one.
    done = warm_command(*csv, "debug=table")
    assert (done.returncode, done.stderr) == (0, "")
    assert "small.csv" in done.stdout.splitlines()[0]
    assert not list(tmp_path.glob("logs/train/runs/*"))


@pytest.mark.parametrize("script", ["preflight.py", "cure.py"])
def test_other_commands_have_no_look_at_a_table(warm_command, csv, script):
    done = warm_command(*csv, "debug=table", script=script)
    assert done.returncode == 1
    assert "look: has no part in" in done.stderr


def test_a_sweep_has_no_look_at_a_table(warm_command, csv):
    done = warm_command("-m", *csv, "debug=table", "seed=0,1")
    assert done.returncode == 1
    assert "debug=table: looks at the table of one run; leave out -m" in done.stdout
