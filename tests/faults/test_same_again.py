"""Same seed, same machine, same weights: alone, after other jobs in the process, and under joblib."""

from pathlib import Path
from typing import Any

import torch

from tests.faults import forked

FIT = ["data=iris", "model=bn", "trainer.max_epochs=3", "report=false"]


def weights(folder: Path) -> dict[str, list[Any]]:
    (file,) = folder.rglob("last.ckpt")
    return {name: value.tolist() for name, value in torch.load(file, weights_only=True)["state_dict"].items()}


def test_same_seed_same_weights(tmp_path, tally):
    alone, after, beside, again = (tmp_path / name for name in ("alone", "after", "beside", "again"))
    for folder in (alone, after, beside, again):
        folder.mkdir()
    assert forked.run(alone, *FIT, "seed=3", fault=lambda: torch.rand(5)) == 0
    assert forked.run(again, *FIT, "seed=3", "trainer.deterministic=true") == 0
    assert forked.run(after, "-m", *FIT, "seed=7,3") == 0
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    assert forked.run(beside, "-m", *FIT, "seed=7,3", *joblib) == 0, forked.said(beside)
    expected = weights(alone)
    assert weights(again) == expected
    for folder in (after, beside):
        (job,) = folder.glob("logs/train/multiruns/*/1_*")
        assert weights(job) == expected
    tally("same seed, same weights", tried=3, survived=3)
