"""What is offered for a key or an option that does not exist, and that each offer is one that Hydra composes."""

import importlib
import shlex
import warnings

import pytest

from gradvitals.app.config.compose import compose
from gradvitals.app.config.error_messages import explain
from gradvitals.app.config.offers import instead, no_such_option
from gradvitals.app.config.other_templates import EXPLAINED, KEYS, LOGGERS, OPTIONS, OWN_GROUPS, SUBCOMMANDS
from gradvitals.app.config.schema import RULES
from tests.conftest import CONF, ROOT

GROUPS = {file.parent.name for file in CONF.glob("*/*.yaml")} - {"local"}


def composes(words):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\n'hydra/launcher/\w+' is validated")  # as checked_targets does
        compose(shlex.split(words))


REFUSED = [
    ("lr=.1", "lr: no such key; expected optimizer.lr=.1"),
    ("batch_size=32", "batch_size: no such key; expected data.batch_size=32"),
    ("max_epochs=5", "max_epochs: no such key; expected trainer.max_epochs=5"),
    ("epochs=5", "epochs: no such key; expected trainer.max_epochs=5"),
    ("gpus=2", "gpus: no such key; expected trainer.devices=2"),
    ("trainer.gpus=2", "trainer.gpus: no such key; expected trainer.devices=2"),
    ("model.hidden_size=64", "model.hidden_size: no such key; expected model.width=64"),
    ("model.optimizer.lr=0.1", "model.optimizer.lr: no such key; expected optimizer.lr=0.1"),
    ("model.net.lin1_size=64", "model.net.lin1_size: no such key; expected model.width=64"),
    ("datamodule.batch_size=64", "datamodule.batch_size: no such key; expected data.batch_size=64"),
    ("lr=abc", "lr: no such key; expected optimizer.lr=0.001"),  # a value that does not fit is not offered
    ("epochs=[1,2]", "epochs: no such key; expected trainer.max_epochs=20"),
    ("betas=[0.9,0.9]", "betas: no such key; expected 'optimizer.betas=[0.9,0.9]'"),
    ("modle.dept=3", "modle.dept: no such key; expected model.depth=3"),
    ("experment=vanishing", "experment: no such key; expected experiment=vanishing"),
    ("optim=sgd", "optim: no such key; expected optimizer=sgd"),
    ("optim=lion", "optim: no such key; expected optimizer=adam"),
    ("launcher=joblib", "launcher: no such key; expected hydra/launcher=joblib"),
    ("hydra/launchr=joblib", "hydra/launchr: no such group; expected hydra/launcher=joblib"),
    ("scheduler.gamma=0.5", "scheduler.gamma: no such key; expected scheduler=step scheduler.gamma=0.5"),
    (
        "paths.data_dir=/d",
        "paths.data_dir: no such key; expected data=cifar10 data.root=/d, data=fashion_mnist data.root=/d or data=mnist data.root=/d",
    ),
    (
        "optimizer.foo=1",
        "optimizer.foo: no such key; expected optimizer.lr=0.001, 'optimizer.betas=[0.9,0.999]' or optimizer.eps=1e-08",
    ),
    ("zzz=1", "zzz: no such key; python src/train.py --help lists all"),
    ("foo/bar=baz", "foo/bar: no such group; python src/train.py --help lists all"),
    ("model.dropout=0.5", "model.dropout: no such key; no network here has dropout"),
    ("hparams_search=mnist_optuna", "hparams_search: no such key; expected sweep=optuna"),
    ("debug=fdr", "debug=fdr: no such option; expected debug=one_batch"),
    ("model=elu", "model=elu: no such option; expected act=elu"),
    ("experiment=vanish", "experiment=vanish: no such option; expected experiment=vanishing"),
    ("act=nope", "act=nope: no such option; expected act=prelu, act=softplus or act=erf"),
    ("logger=[csv,neptune]", "logger=neptune: no such option; expected logger=aim, logger=comet, logger=csv"),
]


@pytest.mark.parametrize(("word", "message"), REFUSED, ids=[word for word, _ in REFUSED])
def test_the_closest_are_offered_as_they_are_typed(word, message, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", word])
    with pytest.raises(Exception) as refused:  # noqa: PT011
        compose([word])
    said = explain(refused.value)
    assert said.startswith(message)
    assert "\n" not in said
    if not said.endswith(("lists all", "}")) and "expected " in said:
        for offer in said.partition("expected ")[2].replace(" or ", ", ").split(", "):
            composes(offer)


USUAL = compose([]).config
OFFERED = {instead(key, None, USUAL).removeprefix("expected ") for key in KEYS if key != "extras"}
OFFERED |= set(OPTIONS.values())


@pytest.mark.parametrize("offer", sorted(OFFERED))
def test_every_habit_has_a_counterpart(offer):
    for words in offer.replace(" or ", ", ").split(", "):
        composes(words)


def test_no_habit_is_a_name_of_ours():
    assert not [key for key in (*KEYS, *EXPLAINED) if key in RULES or key in GROUPS]
    assert not {key.rpartition(".")[2] for key in RULES} & EXPLAINED.keys()
    assert not [word for word in OPTIONS if (CONF / f"{word.replace('=', '/')}.yaml").exists()]
    assert not GROUPS & set(OWN_GROUPS)
    assert not {f"logger={name}" for name in LOGGERS} & {f"logger={file.stem}" for file in CONF.glob("logger/*.yaml")}


def test_loggers_that_may_be_added_exist():
    for path in LOGGERS.values():
        package, _, name = path.rpartition(".")
        if package.startswith("lightning."):
            assert hasattr(importlib.import_module(package), name)
    said = no_such_option("logger", "litlogger")
    assert said.endswith("conf/logger/litlogger.yaml: litlogger: {_target_: lightning.pytorch.loggers.LitLogger}")


def test_scripts_in_place_of_subcommands_exist():
    assert all((ROOT / command.split()[1]).is_file() for command in SUBCOMMANDS.values())


@pytest.mark.parametrize(
    "key", ["", ".", "a..b", "/", "x" * 10_000, "größe", "model.größe", "a b", "\x1b[31m", "__class__"]
)
@pytest.mark.parametrize("value", [None, "", "'", "${x}", "\n", "{a:1}"])
def test_any_key_and_value_gets_one_line(key, value):
    said = instead(key, value)
    assert said
    assert "\n" not in said.replace("\n'", "'")
