"""Same seed, same machine, same weights: alone, after other jobs in the process, in a fork, and under joblib."""

import json
import signal
from pathlib import Path
from typing import Any

import torch

from tests.faults import forked
from tests.faults.test_interruption import at_call, send

FIT = ["data=iris", "model=bn", "trainer.max_epochs=3", "report=false"]


def weights(folder: Path) -> dict[str, list[Any]]:
    (file,) = folder.rglob("last.ckpt")
    return {name: value.tolist() for name, value in torch.load(file, weights_only=True)["state_dict"].items()}


def test_same_seed_same_weights(tmp_path, tally):
    names = ("alone", "after", "fork", "joblib", "again")
    alone, after, fork, joblib, again = folders = [tmp_path / name for name in names]
    for folder in folders:
        folder.mkdir()
    assert forked.run(alone, *FIT, "seed=3", fault=lambda: torch.rand(5)) == 0
    assert forked.run(again, *FIT, "seed=3", "trainer.deterministic=true") == 0
    assert forked.run(after, "-m", *FIT, "seed=7,3") == 0
    for folder in (fork, joblib):
        workers = [f"hydra/launcher={folder.name}", "hydra.launcher.n_jobs=2"]
        assert forked.run(folder, "-m", *FIT, "seed=7,3", *workers) == 0, forked.said(folder)
    expected = weights(alone)
    assert weights(again) == expected
    for folder in (after, fork, joblib):
        (job,) = folder.glob("logs/train/multiruns/*/1_*")
        assert weights(job) == expected
    tally("same seed, same weights", tried=4, survived=4)


def test_a_seed_that_was_drawn_is_kept(tmp_path):
    """Data and weights that were drawn with it are drawn again before the checkpoint is read."""
    at_30 = at_call(30, torch, "_fused_adam_", send(signal.SIGKILL))
    words = ["data=noise", "data.num_samples=400", "seed=null", "trainer.max_epochs=4", "report=false"]
    assert forked.run(tmp_path, *words, fault=at_30) == -signal.SIGKILL
    assert forked.run(tmp_path, "resume=latest") == 0, forked.said(tmp_path)
    run = forked.the_run(tmp_path)
    found = json.loads((run / "result.json").read_text())
    again = tmp_path / "again"
    again.mkdir()
    fixed = [f"seed={found['seed']}", "data.seed=null"]  # the data drew from the same generator
    assert forked.run(again, *[word for word in words if word != "seed=null"], *fixed) == 0
    assert weights(run) == weights(again)
