"""`conf/local/default.yaml`, which git ignores: what holds on this machine alone."""

import shutil

import pytest
from omegaconf import OmegaConf

from gradvitals.app.config.compose import compose, usual_choices
from gradvitals.app.config.remedy_overrides import _choices, _flattened, _read, with_remedy
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.cure.experiment_file import experiment
from gradvitals.errors import ConfigError
from tests.conftest import CONF

LOCAL = """\
# @package _global_
defaults:
  - override /logger: csv
  - override /act: leaky_relu
act:
  negative_slope: 0.3
trainer:
  accelerator: cpu
  max_epochs: 7
"""


@pytest.fixture
def conf(tmp_path):
    """The configs, with a local one."""
    folder = tmp_path / "conf"
    shutil.copytree(CONF, folder)
    (folder / "local").mkdir(exist_ok=True)
    (folder / "local/default.yaml").write_text(LOCAL)
    usual_choices.cache_clear()
    _read.cache_clear()
    return folder


def test_it_wins_over_an_experiment_and_loses_to_debug_and_what_is_typed(conf):
    found = compose(["experiment=exploding"], conf)
    assert (found.choices["act"], found.choices["logger"], found.config.init.gain) == ("leaky_relu", "csv", 2.0)
    assert (found.config.trainer.accelerator, found.config.trainer.max_epochs) == ("cpu", 7)
    assert compose(["debug=limit"], conf).config.trainer.max_epochs == 3
    assert compose(["trainer.max_epochs=9"], conf).config.trainer.max_epochs == 9
    assert compose(["act=tanh"], conf).choices["act"] == "tanh"


def test_nothing_differs_without_it(conf):
    (conf / "local/default.yaml").unlink()
    with_folder = compose([], conf)
    (conf / "local").rmdir()
    assert compose([], conf).plain() == with_folder.plain()
    assert "local" not in with_folder.config


@pytest.mark.parametrize("typed", [[], ["experiment=exploding"], ["act=tanh"], ["sweep=depth", "hydra.mode=RUN"]])
def test_what_a_page_recommends_knows_it(conf, typed):
    files = [_read(conf, group, option) for group, option in _flattened(typed, conf)]
    chosen = compose(typed, conf).choices
    found = _choices(typed, files, conf)
    assert found == {group: chosen[group] for group in found}


def test_a_remedy_takes_back_what_it_sets_for_the_replaced_option(conf):
    assert with_remedy([], ["act=elu"], conf) == ["act=elu", "~act.negative_slope"]
    compose(with_remedy([], ["act=elu"], conf), conf)


@pytest.mark.parametrize("typed", [["optimizer=sgd", "model.depth=12"], ["init=orthogonal"], ["experiment=exploding"]])
def test_it_is_no_part_of_a_cured_experiment(conf, typed):
    written = experiment(typed, conf)
    assert "logger" not in written
    assert "trainer" not in written or "accelerator" not in written
    (conf / "experiment/cured.yaml").write_text(f"# @package _global_\n{written}")
    assert compose(["experiment=cured"], conf).plain() == compose(typed, conf).plain()


def test_without_its_first_line_it_is_refused(conf):
    (conf / "local/default.yaml").write_text("trainer:\n  accelerator: cpu\n")
    found = compose(["paths.run=unused"], conf)
    with pytest.raises(ConfigError, match="conf/local/default.yaml: expected `# @package _global_` as the first line"):
        RunConfig.resolve(found.config, found.hydra).validate()


def test_every_command_reads_it(checkout):
    root, elsewhere, run = checkout
    (root / "conf/local").mkdir(exist_ok=True)
    local = "# @package _global_\npaths:\n  logs: mine\nmodel:\n  width: 7\ntrainer:\n  max_epochs: 1\n"
    (root / "conf/local/default.yaml").write_text(local)
    for script in ("train.py", "preflight.py", "cure.py"):
        assert OmegaConf.create(run("--cfg", "job", script=script).stdout).model.width == 7, script
    for words in ([], ["-m", "seed=0,1"]):
        done = run(*words, "data=iris", "report=false")
        assert done.returncode == 0, done.stderr
    configs = [OmegaConf.load(file) for file in sorted(elsewhere.glob("mine/train/**/.hydra/config.yaml"))]
    assert [config.model.width for config in configs] == [7, 7, 7]
    assert "is complete" in run("resume=latest").stdout
