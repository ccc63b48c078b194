"""Each command that a page recommends is accepted, and is the run's own config but for the remedy."""

import html
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningDataModule

from gradvitals.app.config.compose import compose, compose_run_config
from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.assemble import Run
from gradvitals.app.run.build_model import build_model
from gradvitals.app.run.build_trainer import build_trainer
from gradvitals.app.run.run_result import net_of
from gradvitals.callbacks.metric_history import MetricHistory
from gradvitals.diagnosis.remedies import FOR, Remedy, prescribe
from gradvitals.report.pages.run_page import run_page
from gradvitals.results.record import Record
from tests.conftest import CONF

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
TYPED = {name: [f"experiment={name}"] for name in EXPERIMENTS} | {
    "typed": ["act=leaky_relu", "act.negative_slope=0.3", "+optimizer.maximize=false", "data=fashion_mnist"],
    "sweep": ["sweep=depth", "init.gain=0.7", "hydra.mode=RUN"],
    "experiment and sweep": ["experiment=vanishing", "sweep=depth", "hydra.mode=RUN"],
    "by trainer": ["optimizer=sgd", "optimizer.momentum=0.9", "trainer.gradient_clip_val=1", "init=uniform"],
    "own network": ["model._target_=torch.nn.Linear", "act=sigmoid"],
}
FEW = ("iris_leaky", "mse_clip_value", "fashion_bn_post", "typed", "sweep", "by trainer", "own network")  # of each kind


def remedies_of(typed: list[str]) -> list[Remedy]:
    """All that may be prescribed, whatever is wrong with the net."""
    settings = compose_run_config(typed, Path("unused"))
    model = build_model(settings, samples_for(settings))
    decided = Run(model, *[None] * 5).decided
    found = [remedy for verdict in FOR for remedy in prescribe(verdict, net_of(settings, decided))]
    return list({remedy.overrides: remedy for remedy in found}.values())


def recommended(typed: list[str], remedies: list[Remedy]) -> list[list[str]]:
    """What a page says to type, one list of overrides for each remedy."""
    vitals = {"remedies": [vars(remedy) for remedy in remedies], "verdict": "vanishing"}
    page = html.unescape(run_page(Record(Path("unused"), vitals=vitals, overrides=typed), with_remedy))
    to_do = page.partition("What to do</h2>")[2].partition("Or let all be tried")[0]
    return [shlex.split(line)[2:] for line in re.findall(r"python src/train.py [^<]+", to_do)]


SHAPES = {"gradvitals.nets.recurrent.Recurrent": (3, 8), "gradvitals.nets.cnn.CNN": (1, 8, 8)}  # others take features


class Samples(LightningDataModule):
    """Two samples of the shape that a network takes, and as many classes as a recipe's data have."""

    def __init__(self, regression: bool, shape: tuple[int, ...]) -> None:
        super().__init__()
        y = torch.rand(2) if regression else torch.tensor([0, 1])
        task = "regression" if regression else "multiclass"
        train = SimpleNamespace(x=torch.rand(2, *shape), y=y)
        self.splits = SimpleNamespace(train=train, num_classes=1 if regression else 10, task=task)


def samples_for(settings: RunConfig) -> Samples:
    shape = SHAPES.get(settings["model"]["_target_"], (8,))
    return Samples(regression="csv" in settings["data"]["_target_"], shape=shape)


def built(settings: RunConfig) -> None:
    """Build all that a run builds of the groups that remedies change; nothing of it refuses the config."""
    trainer = build_trainer(settings, MetricHistory())
    if settings["model"]["_target_"] == "gradvitals.nets.mlp.MLP":  # a network of one's own needs data of its own
        model = build_model(settings, samples_for(settings))
        model.trainer = trainer
        model.configure_optimizers()


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in TYPED])
def test_what_a_page_recommends_is_accepted(name):
    typed, remedies = TYPED[name], remedies_of(TYPED[name])
    commands = recommended(typed, remedies)
    assert len(commands) == len(remedies) >= 4
    before = compose_run_config(typed, Path("unused"))
    for words, remedy in zip(commands, remedies, strict=True):
        settings = compose_run_config(words, Path("unused"))  # composed and checked as a command is
        built(settings)
        assert set(remedy.overrides) <= set(words)
        groups = {word.partition("=")[0].partition(".")[0] for word in remedy.overrides}
        if any(word.startswith("model=") for word in remedy.overrides):
            groups.add("act")  # which model=rnn brings with it
        others = before.values.keys() - groups - {"trainer"}
        assert {key: settings[key] for key in others} == {key: before[key] for key in others}


@pytest.mark.parametrize("name", TYPED)
def test_the_options_are_those_that_hydra_chooses(name):
    """They are found without composing, which a page of many remedies has no time for."""
    from gradvitals.app.config.remedy_overrides import _choices, _flattened, _read

    files = [_read(CONF, group, option) for group, option in _flattened(TYPED[name], CONF)]
    chosen = compose(TYPED[name]).choices
    found = _choices(TYPED[name], files, CONF)
    assert found == {group: chosen[group] for group in found}


def test_the_command_line_takes_what_a_page_recommends(warm_command):
    typed = TYPED["iris_leaky"]
    (words,) = recommended(
        typed, [remedy for remedy in remedies_of(typed) if remedy.overrides == ("act=elu", "init=auto")]
    )
    done = warm_command(*words, "trainer.max_epochs=1", "logger=none", "report=false")
    assert done.returncode == 0, done.stderr


def test_what_a_lightning_module_of_ones_own_decides_is_not_recommended(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text("from lightning import LightningModule\nclass Own(LightningModule): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADVITALS_ALLOW", "own_nets")
    found = [word for remedy in remedies_of(["model._target_=own_nets.Own"]) for word in remedy.overrides]
    assert {word.partition("=")[0] for word in found} == {"clip", "clip.val"}
