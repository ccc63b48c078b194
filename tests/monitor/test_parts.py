"""The monitor's parts, each by hand: cadence, blocks, events, histograms, dead windows, settings."""

import json
import math
import pickle
import subprocess
import sys
from dataclasses import asdict, fields
from inspect import signature
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter

from gradvitals import GradientVitals
from gradvitals.app.config.compose import CONF
from gradvitals.build import accepts, resolve
from gradvitals.distributed.collectives import ALONE
from gradvitals.loggers.tags import by_block
from gradvitals.loggers.tensorboard import speed_up
from gradvitals.monitor.monitor import Monitor
from gradvitals.monitor.schedule import Cadence
from gradvitals.monitor.settings import Settings
from gradvitals.vitals import Layer
from tests.callbacks.trainer import bare_trainer


class Model(LightningModule):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(*(layers or (nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))))

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.net(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(model: LightningModule, monitor: GradientVitals, *callbacks, samples=60, **options) -> GradientVitals:
    trainer = bare_trainer(monitor, *callbacks, **{"max_epochs": 2, "num_sanity_val_steps": 0} | options)
    x = torch.randn(samples, 4, generator=torch.Generator().manual_seed(1))
    loader = DataLoader(TensorDataset(x, torch.arange(samples) % 3), batch_size=10)
    trainer.fit(model, loader, loader)
    return monitor


# Cadence


def test_nothing_enters_the_median_that_is_not_finite():
    cadence = Cadence(every_n_steps=1)
    for total in (1.0, 1.0, math.nan, 1.0, math.inf, 1.0, 1.0):
        cadence.step_taken()
        cadence.note(total)
    assert cadence.recent == [1.0] * 5


def test_a_few_totals_tell_no_spike():
    cadence = Cadence(every_n_steps=100, first_steps=0)
    for total in (1.0, 1.0, 1.0, 1.0, 100.0):
        cadence.step_taken()
        cadence.note(total)
    assert cadence.dense_until == 0
    cadence.step_taken()
    cadence.note(8.1)
    assert cadence.dense_until == 6 + cadence.spike_steps


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


class ByHand:
    """A training loop of one's own, as little of one as the monitor needs."""

    processes, scaler, clips, can_repeat, should_stop, planned_steps = ALONE, None, True, False, False, 8

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizers, self.step, self.optimizer_steps = [optimizer], 0, 0

    def watch_clipping(self, see):
        return None


def batches() -> list:
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    return list(zip(x.split(10), (torch.arange(40) % 3).split(10), strict=True))


def test_a_loop_without_lightning_measures_what_lightning_does():
    torch.manual_seed(0)
    model = Model()
    theirs = GradientVitals(every_n_steps=1, clip_cosine=True)
    trainer = bare_trainer(theirs, max_epochs=2, gradient_clip_val=0.1, limit_val_batches=0)
    trainer.fit(model, *(DataLoader(batches(), batch_size=None) for _ in range(2)))
    torch.manual_seed(0)
    net = Model()
    optimizer = net.configure_optimizers()
    loop, monitor = ByHand(optimizer), Monitor(Settings(every_n_steps=1, clip_cosine=True))
    monitor.begin(loop, net)
    session = monitor.session
    for index, batch in enumerate([*batches(), *batches()]):
        session.batch_begins(batch, index)
        loss = net.training_step(batch, index)
        session.before_backward(loss)
        optimizer.zero_grad()
        loss.backward()
        session.before_step(optimizer)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        optimizer.step()
        loop.step = loop.optimizer_steps = index + 1
        session.batch_ends(loss)
    monitor.finish()
    monitor.close()
    assert (monitor.first, monitor.latest) == (theirs.first, theirs.latest)
    assert monitor.history.values == theirs.history.values
    assert (monitor.preflight, monitor.diagnosis) == (theirs.preflight, theirs.diagnosis)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_the_monitor_is_imported_without_lightning():
    code = "import gradvitals.monitor.monitor, sys; sys.exit('lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


class Counts(TorchDispatchMode):
    """Notes the names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.ran.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


class Counted(GradientVitals):
    """Counts what the monitor itself computes, step by step."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.operators: dict[int, list[str]] = {}

    def count(self, hook, trainer, *arguments):
        step = trainer.global_step - (hook.__name__ == "on_train_batch_end")
        with Counts() as counts:
            hook(trainer, *arguments)
        self.operators[step] = [*self.operators.get(step, []), *counts.ran]

    def on_train_batch_start(self, *arguments):
        self.count(super().on_train_batch_start, *arguments)

    def on_before_optimizer_step(self, *arguments):
        self.count(super().on_before_optimizer_step, *arguments)

    def on_train_batch_end(self, *arguments):
        self.count(super().on_train_batch_end, *arguments)


def test_between_measured_steps_nothing_is_computed():
    monitor = fit(Model(), Counted(every_n_steps=5, first_steps=0, activations=False))
    idle = {step: ran for step, ran in monitor.operators.items() if step % 5}
    assert len(idle) == 9
    assert all(set(ran) <= {"detach"} for ran in idle.values())  # the loss is kept
    assert "_foreach_norm" in monitor.operators[5]


# Which layers


def test_include_and_exclude_name_layers():
    monitor = fit(Model(), GradientVitals(include=["net.2"]), max_epochs=1)
    assert {tag.rpartition("/")[2] for tag in monitor.start if "net" in tag} == {"00.net.2"}
    with pytest.raises(ValueError, match="got 'head'"):
        fit(Model(), GradientVitals(exclude=["head"]))


def test_norm_layers_have_weights_gradients_and_updates():
    model = Model(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    monitor = fit(model, GradientVitals(norm_layers=True), max_epochs=1)
    of_norm = {tag.partition("/")[0] for tag in monitor.start if tag.endswith("01.net.1")}
    assert of_norm == {"grad_norm", "weight_norm", "update_ratio"}
    assert monitor.profiles[0][1] is None


def test_layers_that_are_made_late_are_found():
    class Grows(Model):
        def on_train_epoch_start(self):
            if self.current_epoch == 1:
                self.net.append(nn.Linear(3, 3))
                self.optimizers().add_param_group({"params": list(self.net[-1].parameters())})

    monitor = fit(Grows(), GradientVitals(every_n_steps=2, first_steps=0))
    assert [layer.name for layer in monitor.layers] == ["net.0", "net.2", "net.3"]
    assert monitor.end["grad_norm/02.net.3"] > 0


def test_lazy_layers():
    class Lazy(Model):
        def on_fit_start(self):
            self.net(torch.zeros(1, 4))

        def configure_optimizers(self):
            self.net(torch.zeros(1, 4))
            return super().configure_optimizers()

    monitor = fit(Lazy(nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(3)), GradientVitals(), max_epochs=1)
    assert [(layer.kind, layer.fan_in) for layer in monitor.layers] == [("Linear", 4), ("Linear", 6)]


class Tied(Model):
    """Two layers share a weight."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self.net[2].weight = self.net[0].weight


def test_a_shared_weight_is_shown_at_both_layers_and_counts_once():
    model = Tied()
    monitor = fit(model, GradientVitals(), max_steps=1)
    first, second = (monitor.start[f"grad_norm/0{i}.net.{name}"] for i, name in enumerate((0, 2)))
    assert first == second
    biases = math.hypot(*(model.net[i].bias.grad.norm().item() for i in (0, 2)))
    assert monitor.start["grad_norm/total"] == pytest.approx(math.hypot(first, biases), rel=1e-6)


class Complex(nn.Module):
    """A complex weight, as Fourier layers have."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, dtype=torch.cfloat))

    def forward(self, x):
        return (x.to(torch.cfloat) @ self.weight).abs()


class Empties(Model):
    """Calls the network with an empty batch, too."""

    def training_step(self, batch, batch_idx):
        self.net(batch[0][:0])
        return super().training_step(batch, batch_idx)


class NoLoss(Model):
    """Skips every third batch, as Lightning allows."""

    def training_step(self, batch, batch_idx):
        return None if batch_idx % 3 == 0 else super().training_step(batch, batch_idx)


class Closures(Model):
    """An optimizer that calls its closure again and again within one step."""

    def configure_optimizers(self):
        return torch.optim.LBFGS(self.parameters(), max_iter=5)


@pytest.mark.filterwarnings("ignore:.*returned `None`.*")
@pytest.mark.parametrize("model", [Empties(), NoLoss(), Closures(), Model(Complex())], ids=lambda m: type(m).__name__)
def test_what_people_do(model):
    monitor = fit(model, GradientVitals(every_n_steps=3, noise_scale=True, histograms=True))
    steps = list(monitor.history.values)
    if not isinstance(model, NoLoss):  # of twelve, the first ten and multiples of three
        assert steps == list(range(10))
    assert all(math.isfinite(value) for value in monitor.end.values())
    if isinstance(model.net[0], Complex):
        assert monitor.end["grad_norm/total"] == monitor.end["grad_norm/00.net.0"] > 0


# Dead units


def dying() -> Model:
    model = Model()
    model.net[0].bias.data[:2] = -100.0
    return model


def test_dead_units_are_told_after_a_thousand_samples():
    seen = {}

    class Looks(Callback):
        def on_train_batch_end(self, trainer, *_):
            step = trainer.global_step - 1
            seen[step] = monitor.end.get("dead_fraction/00.net.0")

    monitor = GradientVitals(every_n_steps=10, first_steps=0)
    fit(dying(), monitor, Looks(), samples=2000, max_epochs=1)
    assert seen[99] is None  # the thousandth sample has just been seen; the next measured step tells
    assert seen[100] == pytest.approx(2 / 6)
    assert "dead_fraction/01.net.2" not in monitor.end  # no activation behind it


def test_fewer_samples_tell_nothing():
    assert not [tag for tag in fit(dying(), GradientVitals(every_n_steps=1), samples=400).end if "dead" in tag]


def test_dead_units_in_a_compiled_net_are_counted_over_measured_steps():
    model = dying()
    model.net = torch.compile(model.net, backend="eager")
    monitor = fit(model, GradientVitals(every_n_steps=1), samples=600)
    assert monitor.end["dead_fraction/00.net.0"] == pytest.approx(2 / 6)


# Noise scale


def test_the_noise_scale_of_a_fit():
    # The gradient of w in mean(w * x) is mean(x): G = 1, of one sample's variance 9: 9 samples.
    class Noisy(LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(200, 1, bias=False)

        def training_step(self, batch, batch_idx):
            return self.net(1 + 3 * torch.randn(8, 200)).mean() + 0 * batch[0].sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.0)

    monitor = GradientVitals(every_n_steps=2, noise_scale=True, activations=False)
    trainer = Trainer(
        max_steps=800, max_epochs=-1, accelerator="cpu", logger=False, callbacks=[monitor],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Noisy(), DataLoader(torch.zeros(800, 1), batch_size=8))
    assert monitor.end["noise_scale/total"] == pytest.approx(9, rel=0.1)


# Files


class Gathers(Logger):
    """Somebody's logger."""

    name, version = "gathers", 0

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[int, dict]] = []

    @rank_zero_only
    def log_metrics(self, metrics, step=None):
        self.got.append((step, metrics))

    def log_hyperparams(self, *_):
        pass


def test_every_logger_gets_the_numbers_and_tensorboard_the_histograms(tmp_path):
    own, csv = Gathers(), CSVLogger(tmp_path / "csv", name="", version="")
    board = TensorBoardLogger(tmp_path / "board", name="", version="")
    monitor = GradientVitals(every_n_steps=5, first_steps=0, histograms=True)
    fit(Model(), monitor, logger=[own, csv, board], log_every_n_steps=1)
    mine = [(step, metrics) for step, metrics in own.got if "grad_norm/total" in metrics]
    assert [step for step, _ in mine] == [0, 5, 10]
    assert mine[-1][1]["update_ratio/01.net.2"] == monitor.end["update_ratio/01.net.2"]
    csv.save()
    assert "grad_norm_corrected/00.net.0" in (tmp_path / "csv/metrics.csv").read_text()
    events = EventAccumulator(str(tmp_path / "board"), size_guidance={"histograms": 0})
    events.Reload()
    found = events.Histograms("grad/00.net.0")
    assert [event.step for event in found] == [0, 5, 10]
    assert found[0].histogram_value.num == 24


def test_checksums_by_the_library_are_tensorboards(tmp_path):
    # TensorBoard's reader refuses a record whose checksum is wrong.
    writer = SummaryWriter(str(tmp_path))
    speed_up(writer._get_file_writer())
    assert "write" in vars(writer.file_writer.event_writer._async_writer._writer)
    for step in range(3):
        writer.add_scalar("a", step / 3, step)
    writer.close()
    (file,) = tmp_path.glob("events*")
    found = [event for event in EventFileLoader(str(file)).Load() if event.summary.value]
    assert [event.step for event in found] == [0, 1, 2]
    speed_up(SimpleNamespace())  # one that is built otherwise stays as it is


def test_blocks_by_hand():
    layers = [Layer(str(i), i, f"0{i}.{i}", "Linear", 1) for i in range(5)]
    norms, ratios = {f"0{i}.{i}": 1.0 for i in range(5)}, {f"0{i}.{i}": float(i) for i in range(5)}
    assert by_block({"grad_norm": norms, "update_ratio": ratios}, layers, 2) == {
        "grad_norm": {"00-02.0": pytest.approx(3**0.5), "03-04.3": pytest.approx(2**0.5)},
        "update_ratio": {"00-02.0": 1.0, "03-04.3": 3.5},
    }


def test_deep_nets_are_logged_in_blocks_and_kept_by_layer():
    own = Gathers()
    model = Model(*[nn.Linear(4, 4) for _ in range(9)])
    monitor = fit(model, GradientVitals(max_layers=3), logger=own, max_epochs=1)
    logged = {tag for tag in own.got[0][1] if tag.startswith("grad_norm/0")}
    assert logged == {"grad_norm/00-02.net.0", "grad_norm/03-05.net.3", "grad_norm/06-08.net.6"}
    assert "grad_norm/04.net.4" in monitor.start


def test_event_files_stay_bounded(tmp_path):
    """Bytes of one event of a net of 1,000 layers; of a run that logs 1,000 times, as many kilobytes."""
    sizes = {}
    for most in (128, None):
        directory = tmp_path / str(most)
        logger = TensorBoardLogger(directory, name="", version="")
        model = Model(*[layer for _ in range(1000) for layer in (nn.Linear(4, 4, bias=False), nn.Tanh())])
        fit(model, GradientVitals(every_n_steps=1, max_layers=most), logger=logger, max_steps=2, max_epochs=1)
        (file,) = directory.glob("events*")
        sizes[most] = file.stat().st_size / 2
    assert sizes[128] == pytest.approx(41_000, rel=0.1)  # 1,000 events: 41 MB
    assert sizes[None] == pytest.approx(300_000, rel=0.1)  # 300 MB


def test_state_is_plain(tmp_path):
    monitor = fit(Model(), GradientVitals(noise_scale=True))
    json.dumps(monitor.state_dict())
    assert len(pickle.dumps(monitor.start)) < 10_000
