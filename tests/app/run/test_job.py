"""What a job removes where it never began."""

import pytest

from gradvitals.app.run.job import discard


def test_discard_removes_what_hydra_made_and_nothing_else(tmp_path):
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    for name in (".hydra/config.yaml", ".hydra/overrides.yaml", "train.log"):
        (run / name).touch()
    discard(run)
    assert not run.exists()
    run.mkdir()
    (run / "thesis.log").touch()
    discard(run)
    assert (run / "thesis.log").exists()


@pytest.mark.parametrize("kept", ["checkpoints/last.ckpt", "result.json"])
def test_discard_leaves_a_run_that_was_there_before(tmp_path, kept):
    for name in (".hydra/overrides.yaml", "train.log", kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    discard(tmp_path)
    assert (tmp_path / ".hydra/overrides.yaml").exists()
    assert (tmp_path / "train.log").exists()
