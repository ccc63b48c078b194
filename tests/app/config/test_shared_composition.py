"""What jobs and lists share: the same configs and options as Hydra's own, read and composed once."""

from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.utils import setup_globals
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.run_directory import register_names
from gradvitals.app.config.shared_composition import shared_composition
from tests.conftest import CONF, ROOT

JOBS = [
    ["act=elu", "seed=1"],
    ["act=elu", "seed=2"],  # shares all but a value with the job before
    ["seed=2", "act=elu"],  # named in another order
    ["act=elu", "seed=1", "act.alpha=0.5", "model.depth=3"],
    ["act.alpha=0.5", "act=elu"],  # the option counts first, wherever it is typed
    ["+model.extra={a: 1}", "model.extra.a=2", "++model.more=1", "~model.more", "~callbacks.best"],
    ["model={depth: 3}", "tags=[a,b]", "act=selu", "loss=null"],  # a dictionary sets values, also of a group
    ["experiment=vanishing", "seed=5"],
    ["seed=7", "hydra.sweep.subdir='7_x'", "hydra.sweeper.resume=true", "hydra.job.name=mine"],
]


@pytest.fixture
def loader():
    setup_globals()  # resolvers of Hydra's own, such as ``now``
    register_names()
    return ConfigLoaderImpl(create_config_search_path(str(ROOT / "conf")))


def of_sweep(loader: ConfigLoaderImpl, *typed: str) -> DictConfig:
    return loader.load_configuration("train", [*typed, "hydra.sweep.dir=/a"], RunMode.MULTIRUN)


def composed(loader: ConfigLoaderImpl, jobs: list[list[str]], sweep: DictConfig | None = None) -> list[DictConfig]:
    sweep = of_sweep(loader) if sweep is None else sweep
    return [loader.load_sweep_config(sweep, job) for job in jobs]


def test_each_job_gets_the_config_that_hydra_composes(loader):
    sweep = of_sweep(loader, "hydra.job.config.override_dirname.exclude_keys=[act]")
    expected = composed(loader, JOBS, sweep)
    with shared_composition():
        found = composed(loader, JOBS + JOBS, sweep)
    for job, one, other in zip(JOBS + JOBS, found, expected + expected, strict=True):
        assert OmegaConf.to_yaml(one) == OmegaConf.to_yaml(other), job
        assert OmegaConf.is_struct(one) == OmegaConf.is_struct(other)
        assert OmegaConf.get_cache(one) == OmegaConf.get_cache(other)


def test_what_is_refused_is_refused_in_the_same_words(loader):
    for job in (["model.dpeth=3"], ["seed=1,2"], ["~nothing"], ["act=elu", "+seed=1"]):
        with pytest.raises(ConfigCompositionException) as expected:
            composed(loader, [job])
        with shared_composition(), pytest.raises(ConfigCompositionException) as found:
            composed(loader, [["act=elu"], job])
        assert str(found.value) == str(expected.value)


def test_jobs_that_differ_in_values_are_composed_once(loader, monkeypatch):
    calls = []
    compose = ConfigLoaderImpl.load_configuration

    def counted(self, config_name, overrides, *args, **kwargs):
        calls.append(overrides)
        return compose(self, config_name, overrides, *args, **kwargs)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    with shared_composition():
        composed(loader, [[f"act={act}", f"seed={seed}"] for act in ("elu", "selu") for seed in range(4)])
    assert calls[1:] == [["hydra.sweep.dir=/a", "act=elu"], ["hydra.sweep.dir=/a", "act=selu"]]


def test_each_config_file_is_read_once(loader, monkeypatch):
    read = []
    load = OmegaConf.load
    monkeypatch.setattr(OmegaConf, "load", lambda file: read.append(file.name) or load(file))
    with shared_composition():
        composed(loader, [["act=elu", "model=bn"], ["act=elu", "model=plain"], ["act=selu", "model=bn"]])
    ours = [name for name in read if "/conf/" in name and "hydra" not in name]
    assert "act/selu.yaml" in "".join(ours)
    assert sorted(ours) == sorted(set(ours))


def test_a_job_changes_nothing_of_the_next_one(loader):
    with shared_composition():
        first, second = composed(loader, [["seed=1", "+model.new=1"], ["seed=2"]])
    first.model.depth = 99
    assert "new" not in second.model
    assert second.model.depth != 99


def test_times_are_those_of_the_sweep(loader):
    """What it has resolved meanwhile, such as ``now``, is the same in the jobs that follow."""
    with shared_composition():
        sweep = of_sweep(loader)
        (before,) = composed(loader, [["seed=1"]], sweep)
        assert str(sweep.hydra.run.dir).startswith("logs/train/runs/")
        (after,) = composed(loader, [["seed=2"]], sweep)
    assert OmegaConf.get_cache(after) == OmegaConf.get_cache(sweep) != OmegaConf.get_cache(before)


def test_a_group_of_another_folder_is_no_value(tmp_path: Path, loader):
    """Hydra finds it by ``hydra.searchpath`` alone."""
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe/mine.yaml").write_text("# @package _global_\nseed: 42\n")
    with shared_composition():
        (found,) = composed(loader, [["+recipe=mine"]], of_sweep(loader, f"hydra.searchpath=[{tmp_path}]"))
    assert found.seed == 42
    assert "recipe" not in found


def lists(config_name=None, overrides=None):
    loader = GlobalHydra.instance().config_loader()
    groups = loader.get_group_options("", ObjectType.GROUP)
    return {group: loader.get_group_options(group, ObjectType.CONFIG, config_name, overrides) for group in groups}


def test_all_lists_share_one_copy(monkeypatch):
    made = []

    def counted(repository):
        made.append(repository)
        return CachingConfigRepository(repository)

    with initialize_config_dir(str(CONF), version_base="1.3"):
        expected, of_a_command = lists(), lists("train", ["act=elu"])
        assert "relu" in expected["act"]
        monkeypatch.setattr(config_loader_impl, "CachingConfigRepository", counted)
        with shared_composition():
            assert lists() == expected
            assert len(made) == 1
            assert lists("train", ["act=elu"]) == of_a_command
            assert len(made) == 2


def test_a_search_path_that_is_typed_counts(tmp_path):
    (tmp_path / "act").mkdir()
    (tmp_path / "act/mine.yaml").write_text("name: relu\n")
    typed = [f"hydra.searchpath=[file://{tmp_path}]"]
    with initialize_config_dir(str(CONF), version_base="1.3"), shared_composition():
        assert "mine" in lists("train", typed)["act"]
        assert "mine" not in lists("train", [])["act"]
