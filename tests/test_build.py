import sys
from pathlib import Path

import pytest
from lightning import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradvitals.build import build, resolve

SLOTS = [nn.Module, LightningModule, LightningDataModule, Optimizer, LRScheduler, Callback, Logger]
ESCAPES = [
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "subprocess.Popen",
    "torch.load",
    "torch.hub.load",
    "torch.serialization.os.system",
    "torch.nn.modules.module.functools.partial",
    "torch.utils.data.DataLoader",
    "torch.jit.load",
    "gradvitals.build.importlib.import_module",
    "gradvitals.build.os.system",
    "gradvitals.build.resolve",
    "gradvitals.build.build",
    "lightning.pytorch.utilities.rank_zero.logging.FileHandler",
    "pathlib.Path",
    "torch",
    "",
    "..os.system",
    None,
]


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.__name__)
@pytest.mark.parametrize("path", ESCAPES)
def test_only_what_fits_the_slot_is_called(path, slot):
    with pytest.raises(ValueError, match="_target_="):
        build({"_target_": path}, slot)


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    """A package of the user's own on the path, not admitted."""
    source = """
        import torch
        class Net(torch.nn.Linear):
            def __init__(self, in_features, out_features, scale=1.0):
                super().__init__(in_features, out_features)
                self.scale = scale
        class NotANet: ...
        def make(in_features): return torch.nn.Linear(in_features, 1)
        def make_no_net(): return 3
        from os import system
    """
    import textwrap

    Path(tmp_path, "mine.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("mine", None)


def test_own_packages_are_admitted_by_the_environment_alone(own_package, monkeypatch):
    spec = {"_target_": "mine.Net", "scale": 2.0}
    with pytest.raises(ValueError, match="package 'mine' is not admitted. If it is yours, set GRADVITALS_ALLOW=mine"):
        build(spec, nn.Module)
    assert "mine" not in sys.modules  # not even imported
    monkeypatch.setenv("GRADVITALS_ALLOW", "other, mine")
    net = build(spec, nn.Module, offers={"in_features": 3, "out_features": 2, "act": None})
    assert (net.in_features, net.out_features, net.scale) == (3, 2, 2.0)


def test_a_package_may_be_trusted_in_one_place_alone(own_package):
    with pytest.raises(ValueError, match="package 'mine' is not admitted"):
        build({"_target_": "mine.Net"}, nn.Module)
    sizes = {"in_features": 3, "out_features": 2, "act": None}
    assert build({"_target_": "mine.Net"}, nn.Module, sizes, frozenset({"mine"})).in_features == 3


def test_an_admitted_package_may_name_a_function_whose_result_is_checked(own_package, monkeypatch):
    monkeypatch.setenv("GRADVITALS_ALLOW", "mine")
    assert isinstance(build({"_target_": "mine.make", "in_features": 2}, nn.Module), nn.Linear)
    with pytest.raises(ValueError, match="expected a Module; it made a int"):
        build({"_target_": "mine.make_no_net"}, nn.Module)
    with pytest.raises(ValueError, match="expected a subclass of Module; got another class"):
        build({"_target_": "mine.NotANet"}, nn.Module)
    with pytest.raises(ValueError, match="expected a subclass of Module"):  # admitted is what the package defines
        build({"_target_": "mine.system", "command": "false"}, nn.Module)


def test_foreign_argument_offers_the_closest():
    with pytest.raises(ValueError, match=r"torch.optim.Adam takes no 'lrr'; expected lr"):
        build({"_target_": "torch.optim.Adam", "lrr": 1}, Optimizer, {"params": []})


def test_misspelt_class_offers_the_closest():
    with pytest.raises(ValueError, match=r"torch.optim has no 'Adamm'. Closest: Adam"):
        resolve("torch.optim.Adamm", Optimizer)


def test_a_typed_argument_wins_over_an_offer():
    net = build({"_target_": "torch.nn.Linear", "in_features": 4, "out_features": 5}, nn.Module, {"out_features": 2})
    assert net.out_features == 5
