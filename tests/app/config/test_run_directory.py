"""A directory named by overrides and time belongs to one run alone."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from omegaconf import OmegaConf

from gradvitals.app.config.overrides import LONGEST, slug
from gradvitals.app.config.run_directory import is_named_by_overrides, make_new
from tests.app.config.test_overrides import NAME, NASTY
from tests.conftest import compose_variant

TIME = "20261129-163708"


def test_of_many_starts_in_one_second_each_gets_a_directory(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make_new, [tmp_path / "runs" / f"act-elu_{TIME}"] * 64))
    assert len(set(made)) == 64
    assert all(folder.is_dir() for folder in made)
    assert {folder.name for folder in made} >= {f"act-elu_{TIME}", f"act-elu_{TIME}-2", f"act-elu_{TIME}-64"}


def test_what_differs_only_in_what_a_name_leaves_out_gets_a_directory_of_its_own(tmp_path):
    typed = [*NASTY, ["tags=[a-b]"], ["tags=[a,b]"], ["tags=['a b']"], ["x=é"], ["x=e"], ["x=数"], ["x=据"]]
    made = [make_new(tmp_path / f"{slug(words)}_{TIME}") for words in typed]
    assert len(set(made)) == len(typed)
    assert all(NAME.fullmatch(folder.name) and len(folder.name) <= LONGEST + 20 for folder in made)


def test_a_file_in_the_place_of_the_folder_is_an_error_and_no_endless_search(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(OSError, match="exists"):
        make_new(tmp_path / "logs" / "x")


@pytest.mark.parametrize(("mode", "pattern"), [("run", r"runs/%s_\d{8}-\d{6}"), ("sweep", r"multiruns/%s_\d{8}-\d{6}")])
def test_what_was_typed_comes_first_and_the_time_behind_it(mode, pattern):
    config = compose_variant(["model=bn", "act=elu", "tags=['${nowhere}']"], return_hydra_config=True)
    assert is_named_by_overrides(config.hydra[mode])
    assert re.fullmatch(f"logs/train/{pattern % 'model-bn_act-elu_tags-nowhere'}", config.hydra[mode].dir)


def test_a_job_is_named_by_its_number_first():
    config = compose_variant(["act=elu"], "hydra.job.num=7", return_hydra_config=True)
    assert config.hydra.sweep.subdir == "7_act-elu"


def test_a_typed_directory_is_not_renamed():
    assert not is_named_by_overrides(OmegaConf.create({"dir": "mine/${now:%Y}"}))


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (["report=false", "hydra.run.dir='runs/${gradvitals.slug:${hydra.overrides.task}}'"], "runs/*/result.json"),
        (
            ["-m", "report=false", "hydra.sweep.dir='runs/${gradvitals.slug:${hydra.overrides.task}}'"],
            "runs/*/0_*/result.json",
        ),
    ],
    ids=["run", "sweep"],
)
def test_commands_that_start_at_once_train_beside_each_other(command, tmp_path, words, runs):
    """As if in one second: the name contains no time."""
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: command(*words, "logger=none", "trainer.max_epochs=1"), range(2)))
    assert [done.returncode for done in ended] == [0, 0], ended
    assert len(list(tmp_path.glob(runs))) == 2
