"""The settings of the monitor exist once."""

from dataclasses import asdict, fields
from inspect import signature

import pytest
from lightning import Callback
from omegaconf import OmegaConf

from gradvitals import GradientVitals
from gradvitals.build import accepts, resolve
from gradvitals.monitor.settings import Settings
from tests.conftest import CONF


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_n_steps": 0}, "monitor.every_n_steps: expected an integer of at least 1; got 0"),
        ({"max_layers": 0}, "monitor.max_layers: expected an integer of at least 1; got 0"),
        ({"spike_factor": 1.0}, "monitor.spike_factor: expected a number above 1; got 1.0"),
        ({"on_non_finite": "ignore"}, "monitor.on_non_finite: expected one of warn, skip, stop; got 'ignore'"),
    ],
)
def test_settings_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        GradientVitals(**options)


def test_a_name_that_is_no_setting_is_refused():
    with pytest.raises(TypeError, match="the monitor has no setting 'histogram'; expected histograms"):
        GradientVitals(histogram=True)


def test_the_signature_and_the_yaml_are_those_of_the_settings():
    parameters = signature(GradientVitals).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == asdict(Settings())
    assert accepts(GradientVitals) == ([field.name for field in fields(Settings)], False)
    config = OmegaConf.to_container(OmegaConf.load(CONF / "monitor/default.yaml"))
    assert resolve(config.pop("_target_"), Callback) is GradientVitals
    as_yaml = {"thresholds": {}, "exclude": []}  # what is empty in Python's words
    assert config | {"chance": None} == asdict(Settings()) | as_yaml  # the app works chance out from the data
