"""When runs began, in which order they are listed, and which are closest to a name."""

import os
from pathlib import Path

import pytest

from gradvitals.results.record import locate
from gradvitals.results.run_names import began, closest_runs, require_directory

# In the order in which they began, of this and of earlier versions; alphabetical order is another one.
RUNS = [
    "2026-11-25_18-04-17-750971_act=elu,model=bn",
    "2026-11-25_18-04-18-000001",
    "z_20261129-163707",
    "a_20261129-163708",
    "a_20261129-163708-2",
    "a_20261129-163708-10",
    "default_20261130-000000",
]


def made(folder: Path, time: float | None = None) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    (folder / "result.json").write_text("{}")
    if time is not None:
        os.utime(folder / ".hydra", (time, time))
    return folder


def test_runs_are_sorted_by_the_time_in_their_names(tmp_path):
    for number, name in enumerate(reversed(RUNS)):  # copied: files say nothing of when a run began
        made(tmp_path / name, 1e9 + (60 - number if name.startswith("a_") else number))
    assert [path.name for path in locate([tmp_path])] == RUNS
    for newest in range(1, len(RUNS)):
        assert max((tmp_path / name for name in RUNS[:newest]), key=began).name == RUNS[newest - 1]


def test_a_name_without_a_time_counts_by_its_files(tmp_path):
    early, late = made(tmp_path / "zz", 1e9), made(tmp_path / "a_99999999-999999", 2e9)
    named = made(tmp_path / "mine_20261129-163707", 0)
    assert sorted([late, named, early], key=began) == [early, named, late]


def test_jobs_of_a_sweep_are_sorted_by_number_whatever_was_typed(tmp_path):
    names = ["0_weights-runs-a_20261129-163708", "2_weights-runs-a_20250101-000000", "10_seed-1"]
    for name in names:
        made(tmp_path / "seed-0_20261129-170000" / name)
    assert [path.name for path in locate([tmp_path])] == names


def test_a_missing_run_names_the_closest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert closest_runs(Path("logs/train/runs/x")) == ""
    runs = Path("logs/train/runs")
    for name in ("act-elu_20261129-163708", "act-relu_20261129-163709", "model-bn_20261129-163710", "a", "b"):
        made(runs / name)
    for missing in (runs / "act-elu_20261129-163780", Path("act-elu_20261129-163780")):
        assert f"runs: {runs}/act-elu_20261129-163708, {runs}/act-relu" in closest_runs(missing)
    with pytest.raises(FileNotFoundError, match="expected a run directory; there is none. The closest of the 5 runs"):
        require_directory(runs / "act-eluu")
    with pytest.raises(ValueError, match="no such directory.*The closest of the 5 runs"):
        locate([runs / "act-eluu"])
