"""Every option of every group composes and builds; and what each is for is said in its file."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gradvitals.app.run.assemble import assemble
from tests.conftest import CONF, composed

# Experiments are trained, and their headers read, in tests/experiments.
OPTIONS = [(file.parent.name, file.stem) for file in sorted(CONF.glob("*/*.yaml")) if file.parent.name != "experiment"]
NEEDS_FILES = {"fashion_mnist", "mnist", "cifar10", "csv", "sequence_csv"}
NEEDS_A_DEVICE = {"gpu", "mps", "ddp"}
NEEDS_A_PACKAGE = {"aim", "comet", "mlflow", "wandb"}
CONTRACT = {
    "model": "plain bn ln residual gn instance rms skip prenorm rezero cnn rnn lstm gru",
    "act": "sigmoid tanh relu leaky_relu prelu elu selu gelu silu mish softplus softsign hardtanh erf exponential identity",
    "init": "default auto he_uniform he_normal glorot_uniform glorot_normal lecun_uniform lecun_normal orthogonal "
    "delta_orthogonal "
    "variance_scaling uniform normal lsuv",
    "clip": "none norm value per_parameter agc percentile",
    "optimizer": "sgd adam adamw nadam rmsprop",
    "scheduler": "none cosine onecycle plateau step",
    "data": "digits iris fashion_mnist mnist cifar10 csv sequence_csv circles blobs noise adding copy "
    "sequential_digits",
    "logger": "tensorboard csv mlflow wandb comet aim many none",
}


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_builds(group, option, tmp_path: Path):
    needs = ["data=sequential_digits"] if option in ("rnn", "lstm", "gru") else []
    needs += ["model=gru"] if option == "copy" else []
    config = composed(f"{group}={option}", *needs, run_dir=str(tmp_path))
    config.validate()
    if option in NEEDS_FILES | NEEDS_A_DEVICE | NEEDS_A_PACKAGE:
        return
    run = assemble(config)
    assert run.trainer.callbacks


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_says_what_it_is(group, option):
    comments = [line for line in (CONF / group / f"{option}.yaml").read_text().splitlines() if line.startswith("# ")]
    assert [line for line in comments if "@package" not in line]


@pytest.mark.parametrize("group", CONTRACT)
def test_the_names_of_the_contract(group):
    assert {option for of, option in OPTIONS if of == group} == set(CONTRACT[group].split())


@pytest.mark.parametrize("option", [option for of, option in OPTIONS if of == "act"])
def test_an_activations_parameters_stand_in_its_file(option):
    from gradvitals.activations import ACTIVATIONS

    config = OmegaConf.to_container(OmegaConf.load(CONF / "act" / f"{option}.yaml"))
    assert config.pop("name") == option
    assert config == dict(ACTIVATIONS[option].params)


def test_experiments_and_sweeps_name_their_model_and_data():
    """In a project the defaults are others, and a recipe shall show there what it shows here."""
    sweeps = [file for file in CONF.glob("sweep/*.yaml") if file.stem not in ("grid", "optuna")]  # of any network
    for file in sorted([*CONF.glob("experiment/*.yaml"), *sweeps]):
        text, names = file.read_text(), {"model", "data"}
        while based := re.search(r"^  - (?!grid)(\w+) *(?:#.*)?$", text, re.MULTILINE):
            names -= set(re.findall(r"override /(\w+):", text))
            text = (CONF / f"experiment/{based[1]}.yaml").read_text()
        assert names <= set(re.findall(r"override /(\w+):", text)), file.name
