"""Lists of the options of groups: the same as Hydra's, by one copy of the configs."""

from hydra import initialize_config_dir
from hydra._internal import config_loader_impl
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType

from gradvitals.app.config.group_options import quick_group_options
from tests.conftest import CONF


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
        with quick_group_options():
            assert lists() == expected
            assert len(made) == 1
            assert lists("train", ["act=elu"]) == of_a_command
            assert len(made) == 2


def test_a_search_path_that_is_typed_counts(tmp_path):
    (tmp_path / "act").mkdir()
    (tmp_path / "act/mine.yaml").write_text("name: relu\n")
    typed = [f"hydra.searchpath=[file://{tmp_path}]"]
    with initialize_config_dir(str(CONF), version_base="1.3"), quick_group_options():
        assert "mine" in lists("train", typed)["act"]
        assert "mine" not in lists("train", [])["act"]
