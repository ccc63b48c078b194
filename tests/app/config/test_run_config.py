"""One shape for a config, which is validated once."""

import pytest
from omegaconf import OmegaConf

from gradvitals.app.config import run_config
from gradvitals.app.config.compose import compose_run_config
from gradvitals.app.config.hydra_targets import check_hydra
from gradvitals.app.config.overrides import Overrides
from gradvitals.app.config.validate import check
from gradvitals.errors import ConfigError
from tests.conftest import composed
from tests.faults.as_typed import run

QUICK = ("trainer.max_steps=1", "trainer.limit_val_batches=1", "test=false", "report=false", "logger=none", "model=bn")


@pytest.fixture
def checked(monkeypatch) -> list:
    """The values of each config that is validated."""
    seen = []

    def count(values, typed):
        seen.append(values)
        check(values, typed)

    monkeypatch.setattr(run_config, "check", count)
    return seen


def test_a_single_run_is_validated_once(checked, tmp_path):
    ended = run([*QUICK, "callbacks=none", "hydra.run.dir=here"], tmp_path)
    assert ended.code == 0, ended.err
    (values,) = checked
    assert values["paths"]["run"] == str(tmp_path / "here")  # as the job has it, and not an interpolation


def test_each_job_of_a_sweep_is_validated_once(checked, tmp_path):
    ended = run(["-m", *QUICK, "callbacks=none", "seed=1,2", "hydra.sweep.dir=here"], tmp_path)
    assert ended.code == 0, ended.err
    assert [values["seed"] for values in checked] == [1, 2]


def test_a_run_whose_first_check_was_taken_away_is_validated_all_the_same(checked, tmp_path):
    ended = run([*QUICK, "callbacks=none", "hydra.run.dir=here", "~hydra.callbacks.guard", "model.depth=-1"], tmp_path)
    assert (ended.code, len(checked)) == (1, 1)
    assert "model.depth: expected an integer from 0 to 100000; got -1" in ended.err
    assert not (tmp_path / "here").exists()


def test_nothing_is_smuggled_into_the_values():
    config = compose_run_config(["act=elu", "+optimizer.maximize=false"], "unused")
    assert config.overrides == ("act=elu", "+optimizer.maximize=false")
    assert config.overrides.typed_keys == ("act", "optimizer.maximize")
    assert (config.choices["act"], config.choices["model"], config.in_sweep) == ("elu", "plain", False)
    assert not {"typed", "overrides", "choices", "in_sweep", "hydra"} & set(config.values)


def test_a_config_is_not_changed_in_place():
    config = composed()
    assert (config | {"seed": 7})["seed"] == 7
    assert config["seed"] != 7


@pytest.mark.parametrize("typed", ["seed=${seed}", "model=${model}", "optimizer.lr=${optimizer.lr}"])
def test_a_value_that_refers_to_itself_is_refused_in_one_line(typed, tmp_path):
    ended = run([typed], tmp_path)
    assert ended.code == 1
    assert ended.err.startswith("gradvitals: ")
    assert ended.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("typed", "key", "text", "value"),
    [
        (["resume=a=b,c"], "resume", "a=b,c", None),
        (["lr=0.1", "++lr=1e-3"], "lr", "1e-3", 1e-3),
        (["paths.logs='my logs'"], "paths.logs", "'my logs'", "my logs"),
        (["~lr=3"], "lr", None, None),
        ([], "lr", None, None),
    ],
)
def test_the_value_of_a_key_as_text_and_as_hydra_reads_it(typed, key, text, value):
    overrides = Overrides(typed)
    assert overrides.text(key) == text
    if key != "resume":
        assert overrides.value(key) == value


CALLBACK = "from hydra.experimental.callback import Callback\nclass Mine(Callback): ...\nclass Other: ...\n"


def test_a_callback_of_ones_own_is_admitted_by_the_environment_alone(tmp_path, monkeypatch):
    (tmp_path / "hydra_mine.py").write_text(CALLBACK)
    monkeypatch.syspath_prepend(tmp_path)

    def config(name):
        return OmegaConf.create({"callbacks": {"x": {"_target_": f"hydra_mine.{name}"}}})

    with pytest.raises(ConfigError, match=r"hydra.callbacks.x._target_=hydra_mine.Mine: package 'hydra_mine' is not"):
        check_hydra(config("Mine"))
    monkeypatch.setenv("GRADVITALS_ALLOW", "hydra_mine")
    check_hydra(config("Mine"))
    with pytest.raises(ConfigError, match="expected a subclass of Callback"):
        check_hydra(config("Other"))


@pytest.mark.parametrize("target", ["logging.Handler", "logging.handlers.SocketHandler", "logging.config.fileConfig"])
def test_only_known_logging_classes_are_built(target):
    with pytest.raises(ConfigError, match="package 'logging' is not admitted"):
        check_hydra(OmegaConf.create({"job_logging": {"handlers": {"x": {"class": target}}}}))
