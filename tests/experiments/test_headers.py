"""Every experiment opens with its command, what it shows, its outcome, its time and its source, and builds."""

import re

import pytest

from gradvitals.app.config.validate import _find
from tests.conftest import CONF, ROOT, composed
from tests.experiments.conftest import RECIPES
from tests.test_docs import script

NAMES = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
DOCUMENTS = {  # the five founding documents, named as a stranger can find them
    "notebook pytorch_base_gradients (github.com/whitestones011/deep_learning)",
    "slides Vanishing and exploding gradients, course Intermediate Deep Learning with PyTorch (M. Oleszak, DataCamp)",
    "notebook ExplodingAndVanishingGradients (github.com/RohanOpenSource/Deep-Learning-And-Beyond)",
    "notebook How to deal with Vanishing and Exploding gradients in DNNs (after A. Geron, Hands-On Machine Learning, chapter 11)",
    "notebook Optimization difficulties: Vanishing and exploding gradients (a TensorFlow course, session 02 ff.)",
}
KERAS = [  # written for Keras and trained with its defaults
    "iris_sigmoid",
    "iris_leaky",
    "fashion_bn",
    "fashion_clip_value",
    "fashion_bn_post",
    "fashion_bn_pre",
    "he_avg",
    "mse_clip_value",
    "mse_clip_per_parameter",
    "leaky_relu",
    "prelu",
    "selu",
    "relu",
]
FOUNDING = [
    *KERAS,
    "water_plain",
    "water_bn",
    "vanishing",
    "exploding",
    "healthy",
    "plain4",
    "residual4",
    "skip4",
]
PUBLISHED = ["he_race", "tanh_depth", "bn_depth", "selu_100"]


def test_every_recipe_has_an_experiment():
    assert set(FOUNDING) | set(PUBLISHED) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_header_is_complete(name):
    header = script("experiments").header(CONF / "experiment" / f"{name}.yaml")
    assert set(header) == {"Command", "Shows", "Outcome", "Time", "Source"}
    path, first, *_ = header["Command"].removeprefix("python ").split()
    assert (ROOT / path).is_file()
    assert first == f"experiment={name}"
    assert re.search(r"\d", header["Outcome"])
    assert re.match(r"\d+ s", header["Time"])
    assert "@@" not in " ".join(header.values())
    if name in FOUNDING:
        assert set(header["Source"].split("; ")) <= DOCUMENTS
        assert header["Source"].startswith(RECIPES.get(name, {}).get("document", ""))
    elif name in PUBLISHED:
        assert re.search(r"arXiv:\d", header["Source"])


SETTINGS = {name: recipe["settings"] for name, recipe in RECIPES.items() if "settings" in recipe}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_is_what_the_document_says(name):
    config = composed(f"experiment={name}")
    assert {key: _find(config.values, key)[0] for key in SETTINGS[name]} == SETTINGS[name]


@pytest.mark.parametrize("name", NAMES)
def test_it_composes(name):
    composed(f"experiment={name}").validate()


def test_the_page_of_recipes_is_up_to_date():
    page = (ROOT / "docs/recipes.md").read_text()
    assert script("experiments").with_table(page) == page


@pytest.mark.parametrize("name", [*KERAS, "selu_100"])
def test_keras_defaults(name):
    # Adam's eps 1e-7; BatchNormalization's eps 1e-3 and momentum 0.99, torch's 0.01; batches of 32; zero biases.
    config = composed(f"experiment={name}")
    assert config["data"]["batch_size"] == 32
    assert config["init"]["bias"] == "zeros"
    adam, normalised = "betas" in config["optimizer"], config["model"]["norm"] == "batch"
    if adam:
        assert config["optimizer"]["eps"] == 1e-7
    if normalised:
        assert (config["model"]["norm_eps"], config["model"]["norm_momentum"]) == (1e-3, 0.01)
    # They are one config: what is typed there reaches the experiment.
    typed = composed(f"experiment={name}", "keras.adam_eps=0.5", "keras.norm_eps=0.25", "keras.batch_size=7")
    assert typed["data"]["batch_size"] == 7
    assert not adam or typed["optimizer"]["eps"] == 0.5
    assert not normalised or typed["model"]["norm_eps"] == 0.25
