"""What a run prints of its directory is pasted into every command, whatever characters it contains."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.faults import as_typed

SMALL = ("model.depth=1", "model.width=4", "logger=none", "callbacks.picture.enabled=false", "trainer.max_epochs=2")
LOGS = ["logs", "my logs", "a=b,c (1)", 'it\'s "größe" {x}']
OLD = "logs/train/runs/2026-11-25_18-04-17-750971_act=elu,model.hidden=-300,100"  # as earlier versions named it


def typed(folder, *words, script="train.py") -> str:
    ended = as_typed.run(words, folder, script=ROOT / "src" / script)
    assert ended.code == 0, ended.err
    return ended.out


def refused(folder, *words, script="train.py") -> str:
    ended = as_typed.run(words, folder, script=ROOT / "src" / script)
    assert ended.code == 1
    assert len(ended.err.strip().splitlines()) == 1, ended.err
    return ended.err


def pasted(out: str, name: str) -> str:
    """What a shell makes of the path in a closing line."""
    (line,) = [line for line in out.splitlines() if line.startswith(f"{name} ")]
    return shlex.split(line)[1]


@pytest.fixture(params=[*(pytest.param(name, marks=pytest.mark.slow) for name in LOGS[:-1]), LOGS[-1], OLD])
def trained(tmp_path, request) -> tuple[Path, str]:
    """A folder and the directory of a run in it, as the summary prints it."""
    where = f"hydra.run.dir='{OLD}'" if request.param == OLD else f"paths.logs={request.param}"
    return tmp_path, pasted(typed(tmp_path, *SMALL, "act=elu", "optimizer.lr=1e-2", where), "run")


def test_every_command_takes_the_printed_directory(trained):
    folder, run = trained
    assert (folder / run / "result.json").is_file()
    assert f"weights      {shlex.quote(f'{run}/checkpoints/best.ckpt')}" in typed(folder, *SMALL, f"weights={run}")
    assert "test/acc" in typed(folder, run, script="eval.py")
    assert (folder / pasted(typed(folder, run, script="export.py"), "weights")).is_file()
    assert (folder / pasted(typed(folder, run, script="report.py"), "report")).is_file()
    longer = typed(folder, *SMALL[:-1], f"ckpt_path={run}", "trainer.max_epochs=3")
    assert shlex.quote(f"{run}/checkpoints/last.ckpt") in longer
    assert "completed    3 epochs" in longer
    assert f"resume={shlex.quote(run)}" in typed(folder, f"resume={run}")
    assert "completed    3 epochs" in typed(folder, f"resume={run}", "trainer.max_epochs=3")


def test_a_sweep_in_any_folder_is_resumed_by_what_it_prints(tmp_path):
    out = typed(tmp_path, "-m", *SMALL, "seed=0,1", "paths.logs=my (2), logs")
    (line,) = [line for line in out.splitlines() if line.startswith("sweep ")]
    sweep = shlex.split(line)[1].rstrip(":")
    assert sweep.startswith("my (2), logs/train/multiruns/model.depth-1_")
    (tmp_path / sweep).joinpath("multirun.yaml").read_text()
    (job,) = (tmp_path / sweep).glob("1_*")
    shutil.rmtree(job)
    assert "1 of 2 jobs have ended before" in typed(tmp_path, f"resume_sweep={sweep}")
    both = typed(
        tmp_path,
        "-m",
        *SMALL,
        f"weights={tmp_path / sweep / job.name},{sweep}/{next((tmp_path / sweep).glob('0_*')).name}",
    )
    assert "2 runs of 2 configurations" in both


def test_weights_of_a_run_are_its_best_and_else_its_last(tmp_path):
    run = pasted(typed(tmp_path, *SMALL), "run")
    checkpoints = tmp_path / run / "checkpoints"
    best = torch.load(checkpoints / "best.ckpt", weights_only=True)
    best["state_dict"] = {name: torch.full_like(value, 0.125) for name, value in best["state_dict"].items()}
    torch.save(best, checkpoints / "best.ckpt")

    def first_weight(*words: str) -> tuple[float, str]:
        new = pasted(typed(tmp_path, *SMALL, *words, "optimizer=sgd", "optimizer.lr=0"), "run")
        state = torch.load(tmp_path / new / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        file = json.loads((tmp_path / new / "result.json").read_text())["weights"]
        return float(next(iter(state.values())).flatten()[0]), Path(file).name

    assert first_weight(f"weights={run}") == (0.125, "best.ckpt")
    value, name = first_weight(f"weights={run}/checkpoints/last.ckpt")
    assert (value != 0.125, name) == (True, "last.ckpt")
    (checkpoints / "best.ckpt").unlink()
    assert first_weight(f"weights={run}") == (value, "last.ckpt")
    assert f"weights      {run}/checkpoints/last.ckpt: the run has no best checkpoint" in typed(
        tmp_path, *SMALL, f"weights={run}"
    )


def test_a_missing_run_ends_in_one_line_that_names_the_closest(tmp_path):
    run = pasted(typed(tmp_path, *SMALL), "run")
    for word in (f"weights={run}0", f"ckpt_path={run}0", f"resume={run}0"):
        assert f"The closest of the 1 runs: {run}" in refused(tmp_path, word)
    for script in ("eval.py", "export.py", "report.py", "predict.py"):
        assert f"The closest of the 1 runs: {run}" in refused(tmp_path, f"{run}0", script=script)
    assert "contains best.ckpt, last-1.ckpt, last.ckpt" in refused(tmp_path, f"weights={run}/checkpoints/bset.ckpt")
    shutil.rmtree(tmp_path / run / "checkpoints")
    for key in ("weights", "ckpt_path"):
        assert f"{key}={run}: expected a checkpoint or a run directory; there is none in" in refused(
            tmp_path, f"{key}={run}"
        )
    assert len(list((tmp_path / run).parent.iterdir())) == 1  # what was refused leaves no directory


def test_the_latest_run_is_the_one_that_began_last(tmp_path):
    first = pasted(typed(tmp_path, *SMALL, "seed=2"), "run")
    old = tmp_path / first
    old.rename(old.with_name("2026-11-25_18-04-17-750971_seed=2"))
    later = old.with_name("a_20261125-180418")
    shutil.copytree(old.with_name("2026-11-25_18-04-17-750971_seed=2"), later)
    assert f"{later.relative_to(tmp_path)} is complete" in typed(tmp_path, "resume=latest")
