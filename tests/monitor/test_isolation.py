"""A monitor never ends a fit: what fails is reported once and switched off, and everything else goes on as before."""

import json
import logging
from importlib import import_module
from pathlib import Path

import pytest
import torch
from lightning import Callback
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import GradientVitals
from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.grad_scaler import GradScalerState
from gradvitals.vitals.layers import UnmatchedPattern
from tests.callbacks.trainer import bare_trainer
from tests.distributed.pair import launch
from tests.monitor.small_fit import Model, fit

# Part -> the tags that it alone reports, and those that need it.
OWN = {
    "noise": ("noise_scale/",),
    "dead": ("dead_fraction/",),
    "skipped_steps": ("non_finite/",),
    "gradients": ("grad_norm/", "grad_norm_clipped/", "grad_norm_corrected/", "clip/"),
    "updates": ("weight_norm/", "update_ratio/"),
    "activation_gradients": ("activation_grad_norm/",),
    "layer_inputs": ("grad_norm_corrected/",),
    "activation_statistics": ("activation_mean/", "activation_std/", "saturated_fraction/"),
    "input_gradient": ("grad_norm/input",),
    "layer_hooks": ("activation_", "saturated_fraction/", "grad_norm_corrected/", "grad_norm/input"),
    "network": ("",),  # the order of the layers is part of each tag
    "all": ("",),
}
# What fails beside the collectors' own methods: part -> functions.
PARTS = {
    "activation_gradients": ["vitals.activation_gradients:ActivationGradients._join"],
    "layer_inputs": ["vitals.layer_inputs:LayerInputs.layer_called"],
    "activation_statistics": ["vitals.activation_statistics:ActivationStatistics._record"],
    "input_gradient": ["vitals.input_gradient:InputGradient._replace", "vitals.input_gradient:InputGradient.take"],
    "dead": ["vitals.dead_units:DeadUnits._record"],
    "first_batch": [
        "vitals.layer_graph:Chain._called",
        "vitals.layer_graph:Chain._returned",
        "signal_propagation.expectation:Theory.of",
    ],
    "layer_hooks": [
        "monitor.collectors.layer_hooks:LayerHooks.__init__",
        "monitor.collectors.layer_hooks:LayerHooks._add_layers",
        "monitor.collectors.layer_hooks:LayerHooks._finish_layers",
    ],
    "gradients": [
        "monitor.collectors.optimizer_step:OptimizerStep._add_gradients",
        "monitor.collectors.optimizer_step:OptimizerStep._finish_before",
        "monitor.collectors.optimizer_step:OptimizerStep._finish_after",
        "monitor.collectors.optimizer_step:_cosine",
    ],
    "updates": [
        "monitor.collectors.optimizer_step:Trained.copy_weights",
        "monitor.collectors.optimizer_step:OptimizerStep._finish_updates",
    ],
    "histograms": ["monitor.collectors.optimizer_step:histogram"],
    "verdict": ["monitor.verdict:OnlineDiagnosis.take", "monitor.verdict:OnlineDiagnosis.take_last"],
    "preflight": ["monitor.first_batch:FirstBatch.found", "monitor.monitor:predicted_decades"],
    "publishing": ["displayed_monitor:publish", "displayed_monitor:publish_text"],
    "network": ["vitals.layers:ForwardOrder._called"],
    None: ["monitor.network:WatchedNetwork.layers_in", "monitor.network:WatchedNetwork.refresh"],  # by the time
    "all": [
        "monitor.network:is_compiled",
        "monitor.collectors.optimizer_step:Trained.__init__",
        "monitor.measurement_history:MeasurementHistory.add",
        "monitor.session:Session._count_missed",
        "callbacks.gradient_vitals:LightningLoop",
    ],
}
METHODS = [name for name in vars(Collector) if not name.startswith("_") and name != "load_state_dict"]
COLLECTORS = [
    (None, f"{kind.__module__.removeprefix('gradvitals.')}:{kind.__name__}.{method}")
    for kind in sorted(Collector.__subclasses__(), key=lambda kind: kind.__name__)
    for method in METHODS
    if kind is not GradScalerState and getattr(kind, method) is not getattr(Collector, method)
]
OTHERS = [(part, place, healthy) for part, places in PARTS.items() for place in places for healthy in (0, 2)]
FAULTS = [*((part, place, 0) for part, place in COLLECTORS), *OTHERS]


class Failing:
    """A function that fails from its first or its third call on."""

    def __init__(self, function, healthy_calls: int) -> None:
        self.function, self.left, self.failed = function, healthy_calls, 0

    def __get__(self, owner, kind=None):
        return lambda *arguments, **named: self(owner, *arguments, **named)

    def __call__(self, *arguments, **named):
        self.left -= 1
        if self.left >= 0:
            return self.function(*arguments, **named)
        self.failed += 1
        raise RuntimeError("a fault\nof the monitor")


def break_(monkeypatch, place: str, healthy_calls: int = 0) -> Failing:
    module, _, path = place.partition(":")
    owner = import_module(f"gradvitals.{module}")
    *classes, name = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    failing = Failing(getattr(owner, name), healthy_calls)
    monkeypatch.setattr(owner, name, failing)
    return failing


def watched(**settings) -> GradientVitals:
    every = {"every_n_steps": 3, "noise_scale": True, "histograms": True, "clip_cosine": True, "on_non_finite": "skip"}
    return GradientVitals(**every | settings)


def fitted(*monitors: Callback) -> Model:
    torch.manual_seed(0)
    model = Model(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    fit(model, *monitors, gradient_clip_val=0.1, samples=520, limit_val_batches=2)
    return model


def same_weights(model: Model, other: Model) -> bool:
    return all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.fixture(scope="module")
def alone() -> Model:
    """Of a fit without a monitor."""
    return fitted(Callback())


@pytest.fixture(scope="module")
def sound() -> GradientVitals:
    monitor = watched()
    fitted(monitor)
    return monitor


def warnings(caplog) -> list[str]:
    """Those of parts that failed; the verdict is announced, too."""
    of_parts = [
        r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING and r.name.startswith("gradvitals")
    ]
    return [message for message in of_parts if message.startswith("the monitor: ")]


@pytest.mark.parametrize(("part", "place", "healthy_calls"), FAULTS, ids=[f"{f[1]}-{f[2]}" for f in FAULTS])
def test_what_fails_is_reported_once_and_changes_nothing_else(
    part, place, healthy_calls, alone, sound, monkeypatch, caplog
):
    failing = break_(monkeypatch, place, healthy_calls)
    monitor = watched()
    model = fitted(monitor)
    assert same_weights(model, alone)
    closes = not place.endswith(".close")
    assert not closes or not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    of_all_modules = torch.nn.modules.module._global_forward_pre_hooks
    assert not closes or not of_all_modules
    of_all_modules.clear()  # for the tests after this one
    if healthy_calls and not failing.failed:
        return  # it is called once or twice in a fit
    assert failing.failed
    (warning,) = warnings(caplog)
    named = warning.removeprefix("the monitor: ").partition(" failed")[0]
    assert part in (None, named)
    assert "(RuntimeError: a fault). It is off from now on" in warning
    for numbers, expected in ((monitor.start, sound.start), (monitor.end, sound.end)):
        rest = {tag: value for tag, value in expected.items() if not tag.startswith(OWN.get(named, ()))}
        assert {tag: numbers.get(tag) for tag in rest} == pytest.approx(rest, rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("collector", ["loss_buffer:LossBuffer", "dead_units:DeadUnitCollector"])
def test_a_state_that_cannot_be_read(collector, monkeypatch, caplog, tmp_path):
    data = DataLoader(TensorDataset(torch.randn(20, 4), torch.arange(20) % 3), batch_size=10)
    trainer = bare_trainer(watched(), max_epochs=1)
    trainer.fit(Model(), data, data)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    break_(monkeypatch, f"monitor.collectors.{collector}.load_state_dict")
    trainer = bare_trainer(watched(), max_epochs=2)
    trainer.fit(Model(), data, data, ckpt_path=tmp_path / "last.ckpt", weights_only=False)
    assert trainer.global_step == 4
    assert len(warnings(caplog)) == 1
    break_(monkeypatch, "monitor.monitor:Preflight.of")
    monitor = watched()
    trainer = bare_trainer(monitor, max_epochs=2)
    trainer.fit(Model(), data, data, ckpt_path=tmp_path / "last.ckpt", weights_only=False)
    assert trainer.global_step == 4
    assert monitor.end
    assert "the numbers of the checkpoint failed" in warnings(caplog)[1]


def test_errors_of_the_users_own_code_and_of_the_settings_are_not_held_back():
    class Faulty(Model):
        def training_step(self, batch, batch_idx):
            raise LookupError("of one's own")

    class Interrupted(GradientVitals):
        def publish(self, *arguments):
            raise KeyboardInterrupt

    with pytest.raises(LookupError):
        fit(Faulty(), watched())
    with pytest.raises(UnmatchedPattern):
        fit(Model(), watched(include=["no_such_layer"]))
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(Model(), Interrupted())


def test_what_fails_in_one_process_is_switched_off_in_all(tmp_path):
    launch(Path(__file__).with_name("one_process_fails.py"), str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())
    sound = found.pop("nothing")
    for part, run in found.items():
        assert run["weight"] == sound["weight"]
        rest = {tag: value for tag, value in sound["end"].items() if not tag.startswith(OWN.get(part, ("no tag",)))}
        assert {tag: run["end"].get(tag) for tag in rest} == rest
        assert run["end"].keys() == rest.keys()  # no numbers of one process alone
