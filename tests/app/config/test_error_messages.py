"""Errors in one line, with the closest names."""

import shlex

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from gradvitals.app.config.error_messages import explain
from gradvitals.errors import closest
from tests.conftest import CONF


def test_closest_come_first():
    assert closest("lrr", ["momentum", "weight_decay", "lr"]) == "lr"
    assert closest("zzz", ["momentum", "lr"]) == "momentum, lr"


def test_unknown_errors_name_their_type_and_the_way_to_the_traceback():
    assert explain(ValueError("a\nb")) == "a b"
    assert explain(KeyError("x")) == "KeyError: 'x' (HYDRA_FULL_ERROR=1 shows the traceback)"


def explained(monkeypatch, *argv):
    """What is printed of the first of some words that Hydra refuses."""
    monkeypatch.setattr("sys.argv", ["train.py", *argv])
    with pytest.raises(OverrideParseException) as refused:
        OverridesParser.create().parse_overrides(list(argv))
    return explain(refused.value)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        (["data.target=größe"], "größe"),
        (["data.target=a=b"], "a=b"),
        (["data.target=a#b"], "a#b"),
        (["data.target=Income (k)"], "Income (k)"),
        (["data.target=it's"], "it's"),
        (['data.target=say "hi"'], 'say "hi"'),
        (["data.path=my file (1).csv"], "my file (1).csv"),
        (["data.drop=[Customer Name (full)]"], ["Customer Name (full)"]),
        (["data.drop=[ok,\"a,b\",c#d, 'x y',12]"], ["ok", "a,b", "c#d", "x y", 12]),
        (["data.drop=[it's,b]"], ["it's", "b"]),
        (["seed=1", "data.path=my", "file.csv", "act=elu"], "my file.csv"),  # as the shell splits it
        (["data.drop=[Name", "of", "it,B]", "-m"], ["Name of it", "B"]),
    ],
)
def test_what_hydra_cannot_read_is_offered_in_quotes(monkeypatch, typed, value):
    message = explained(monkeypatch, *typed)
    assert "\n" not in message
    (offered,) = shlex.split(message.partition("quoted, it is typed ")[2])
    parsed = OverridesParser.create().parse_override(offered)
    assert OmegaConf.to_container(OmegaConf.create({"value": parsed.value()}))["value"] == value


@pytest.mark.parametrize("word", ["größe=1", "nonsense words", "model.hidden=[300,"])
def test_what_no_quotes_mend_is_refused_without_an_offer(monkeypatch, word):
    assert "it is typed" not in explained(monkeypatch, word)


def test_a_comma_is_a_sweep_a_list_or_a_name():
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(ConfigCompositionException) as refused:
        compose("train", ["data=csv", "data.target=a,b"])
    message = explain(refused.value)
    assert "several values need -m" in message
    assert message.endswith("""a list is typed 'data.target=[a,b]', and a single name 'data.target="a,b"'""")


@pytest.mark.parametrize("flags", [[], ["--config-dir=elsewhere", "-m"]])
def test_a_number_in_place_of_an_option_is_named_beside_flags(monkeypatch, flags):
    monkeypatch.setattr("sys.argv", ["train.py", *flags, "act=1.5", "seed=2"])
    with (
        pytest.raises(ValueError, match="Config group override") as refused,
        initialize_config_dir(str(CONF), version_base="1.3"),
    ):
        compose("train", overrides=["act=1.5"])
    assert explain(refused.value) == "act=1.5: expected the name of an option, GROUP=OPTION; got float"


def test_a_launcher_that_is_not_installed_says_how_to_install_it():
    error = MissingConfigException("Could not find", "hydra/launcher/joblib", ["basic", "ray"])
    assert explain(error) == (
        'hydra/launcher=joblib needs a package: hydra-joblib-launcher. Install it by pip install "gradvitals[joblib]"'
    )
    assert "no such option" in explain(MissingConfigException("Could not find", "hydra/launcher/rai", ["basic", "ray"]))
