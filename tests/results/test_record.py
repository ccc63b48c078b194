"""What reports read of run directories."""

import json

import pytest

from gradvitals.results.record import locate, read
from gradvitals.results.result import Result

RESULT = {
    "status": "completed",
    "verdict": "healthy",
    "overrides": ["act=elu", "seed=1"],
    "seed": 1,
    "seconds": 2.5,
    "metrics": {"val/acc": {"final": 0.9, "best": 0.95}, "val/loss": {"final": None, "best": 0.2}},
}


def find(folders):
    return [read(folder) for folder in locate(folders)]


def a_run(folder, result=RESULT, config="seed: 1\nmodel:\n  depth: 3\n", overrides="- act=elu\n"):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(config)
    (folder / ".hydra" / "overrides.yaml").write_text(overrides)
    if result is not None:
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_a_run_as_plain_values(tmp_path):
    run = read(a_run(tmp_path / "1_x"))
    assert (run.name, run.status, run.verdict, run.seed, run.result.seconds) == (
        "act=elu seed=1",
        "completed",
        "healthy",
        1,
        2.5,
    )
    assert run.config["model"] == {"depth": 3}
    assert run.metric("val/acc") == 0.95
    assert run.metric("val/acc", "final") == 0.9
    assert run.metric("val/loss", "final") is None
    assert run.metric("test/acc") is None


def test_a_run_that_changed_nothing_is_called_by_its_directory(tmp_path):
    assert read(a_run(tmp_path / "2026", RESULT | {"overrides": []}, overrides="[]\n")).name == "2026"


def test_how_a_run_went_on_is_nothing_that_it_changed(tmp_path):
    typed = "- act=elu\n- ckpt_path=/x/last.ckpt\n- resume=/x\n"
    assert read(a_run(tmp_path / "a", None, overrides=typed)).overrides == ["act=elu"]


@pytest.mark.parametrize("torn", ['{"status": "comple', "", "[1]", "\xff\xfe"])
def test_a_torn_result_counts_as_missing(tmp_path, torn):
    a_run(tmp_path / "a")
    (tmp_path / "a" / "result.json").write_bytes(torn.encode("latin-1"))
    run = read(tmp_path / "a")
    assert (run.result, run.status, run.verdict, run.overrides) == (Result(), "missing", None, ["act=elu"])


def test_a_torn_config_counts_as_none(tmp_path):
    assert read(a_run(tmp_path / "a", config="model: {depth: 3")).config == {}
    assert read(tmp_path).overrides == []


def test_runs_are_found_at_any_depth_in_natural_order(tmp_path):
    for name in ("10_b", "2_b", "1_a/deeper"):
        a_run(tmp_path / "sweep" / name)
    found = [run.folder.relative_to(tmp_path).as_posix() for run in find([tmp_path])]
    assert found == ["sweep/1_a/deeper", "sweep/2_b", "sweep/10_b"]


def test_each_run_once_in_the_order_of_the_folders(tmp_path):
    first, second = a_run(tmp_path / "1"), a_run(tmp_path / "2")
    assert [run.folder.name for run in find([second, tmp_path])] == ["2", "1"]
    assert find([first])[0].folder == first


def test_a_killed_run_is_one_and_a_preflight_is_none(tmp_path):
    a_run(tmp_path / "killed", None)
    a_run(tmp_path / "looked", None)
    (tmp_path / "looked" / "preflight.json").write_text("{}")
    assert [run.folder.name for run in find([tmp_path])] == ["killed"]


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no run in it. Expected a run directory \(result.json\)"):
        find([tmp_path])
    with pytest.raises(ValueError, match="no such directory"):
        find([tmp_path / "nowhere"])
