"""How a run is put together for speed."""

import importlib.metadata
import os
from importlib.util import find_spec

import pytest
import torch

from gradvitals.app.run.assemble import assemble
from gradvitals.app.run.build_trainer import NVML_CHECK
from gradvitals.errors import ConfigError
from gradvitals.loops.lean import LeanEpochLoop
from gradvitals.loops.resumable import ResumableEpochLoop
from tests.conftest import composed


def test_a_run_has_the_lean_loop_unless_it_is_switched_off(tmp_path):
    for value, loop in (("true", LeanEpochLoop), ("false", ResumableEpochLoop)):
        run = assemble(composed(f"trainer.lean={value}", run_dir=str(tmp_path)))
        assert type(run.trainer.fit_loop.epoch_loop) is loop


def test_on_a_processor_adam_does_not_ask_the_driver_for_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv(NVML_CHECK, "1")
    assemble(composed("trainer=cpu", run_dir=str(tmp_path)))
    assert NVML_CHECK not in os.environ


def test_what_packages_offer_is_read_once(tmp_path, monkeypatch):
    """By itself Lightning reads the files of all packages for every Trainer, a tenth of a short job of a sweep."""
    assemble(composed(run_dir=str(tmp_path)))
    monkeypatch.setattr(importlib.metadata, "distributions", None)  # what asks again fails
    assert assemble(composed(run_dir=str(tmp_path))).trainer.callbacks


def test_the_network_is_compiled_when_that_is_asked_for(tmp_path):
    plain = assemble(composed(run_dir=str(tmp_path)))
    compiled = assemble(composed("compile=reduce-overhead", run_dir=str(tmp_path)))
    assert plain.model.net._compiled_call_impl is None
    assert compiled.model.net._compiled_call_impl is not None
    assert compiled.model.state_dict().keys() == plain.model.state_dict().keys()


def test_turning_determinism_off_undoes_turning_it_on(tmp_path):
    asked = []
    for value in ("true", "false"):
        assemble(composed(f"trainer.deterministic={value}", run_dir=str(tmp_path)))
        asked.append(torch.are_deterministic_algorithms_enabled())
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("option", "package", "command"),
    [("aim", "aim", "pip install aim"), ("comet", "comet_ml", 'pip install "gradvitals[comet]"')],
)
def test_a_logger_whose_package_is_missing_is_refused_with_the_command(option, package, command, tmp_path):
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(ConfigError) as refused:
        assemble(composed(f"logger={option}", run_dir=str(tmp_path)))
    assert str(refused.value).startswith(f"logger={option} needs a package: ")
    assert str(refused.value).endswith(f"Install it by {command}")
