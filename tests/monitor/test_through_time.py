"""The gradient by time step through the monitor: against a network unrolled by hand, in every mode of training."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils.data import DataLoader

from gradvitals import GradientVitals, watch
from gradvitals.diagnosis.time_profile import TimeNorms
from gradvitals.monitor.time_history import TimeHistory
from tests.callbacks.trainer import bare_trainer
from tests.distributed.pair import torchrun
from tests.monitor import through_time_in_two
from tests.monitor.through_time_in_two import INPUTS, LAYER, STEPS, Net, batches, twin
from tests.vitals.unrolled import unrolled

KINDS = ("rnn", "lstm", "gru")
EXACT = {"rel": 1e-5, "abs": 0.0}
RATE = 0.1


class Model(LightningModule):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=RATE)


def fit(model: LightningModule, data: list, **options) -> GradientVitals:
    monitor = GradientVitals(every_n_steps=1)
    bare_trainer(monitor, **{"max_epochs": 1} | options).fit(model, DataLoader(data, batch_size=None))
    return monitor


def profile_of(monitor: GradientVitals, label: str = f"00.net.{LAYER}", step: int = 0) -> list[float]:
    return list(monitor.through_time.of(label)[step].norms)


@pytest.mark.parametrize("by_cells", [False, True], ids=["fused", "cells"])
@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_it_equals_a_network_unrolled_by_hand(kind, accumulate, by_cells):
    net, data = Net(kind, by_cells), batches(2 * accumulate)
    monitor = fit(Model(copy.deepcopy(net)), data, accumulate_grad_batches=accumulate)
    for step, expected in enumerate(twin(net, data, accumulate, RATE)):
        assert profile_of(monitor, step=step) == pytest.approx(expected, **EXACT)
    tags = {name: monitor.end[f"time_grad_norm/00.net.{LAYER}/{name}"] for name in ("first", "middle", "last")}
    expected = {"first": expected[0], "middle": expected[STEPS // 2], "last": expected[-1]}
    assert tags == pytest.approx(expected, **EXACT)


def by_autocast(net: Net, data: list, dtype: torch.dtype, scale: float) -> list[float]:
    """The same arithmetic in a loop of one's own."""
    squares = torch.zeros(STEPS, dtype=torch.float64)
    for x, y in data:
        x = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype, cache_enabled=False):
            loss = F.cross_entropy(net(x), y) / len(data)
        (loss * scale).backward()
        squares += x.grad.double().square().sum((0, 2)) / scale**2
    return squares.sqrt().tolist()


@contextmanager
def without_mkldnn() -> Iterator[None]:
    """Its LSTM knows float16 on some CPUs only; torch's own flags warn of another device."""
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(True)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_16_mixed_with_a_loss_scale(kind, accumulate):
    scale, net, data = 2.0**10, Net(kind), batches(accumulate)
    plugin = MixedPrecision("16-mixed", "cpu", scaler=GradScaler("cpu", init_scale=scale))
    with without_mkldnn():
        monitor = fit(Model(copy.deepcopy(net)), data, plugins=[plugin], accumulate_grad_batches=accumulate)
        expected = by_autocast(net, data, torch.float16, scale)
    assert profile_of(monitor) == pytest.approx(expected, **EXACT)
    assert profile_of(monitor) == pytest.approx(next(twin(net, data, accumulate, RATE)), rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_mixed(kind):
    net, data = Net(kind), batches(1)
    monitor = fit(Model(copy.deepcopy(net)), data, precision="bf16-mixed")
    assert profile_of(monitor) == pytest.approx(by_autocast(net, data, torch.bfloat16, 1.0), **EXACT)


@pytest.mark.slow
def test_two_processes_find_what_one_finds_of_the_whole_batch(tmp_path):
    code, printed = torchrun(tmp_path, 2, str(tmp_path), script=through_time_in_two.__file__)
    assert code == 0, printed[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())
    for kind in KINDS:
        expected = next(twin(Net(kind), batches(2), 2, RATE))
        assert found[kind] == pytest.approx(expected, **EXACT)
        assert found[f"{kind} by cells"] == pytest.approx(expected, **EXACT)
    # Each process has a sequence of its own length; the ends are aligned.
    first, second = (next(twin(Net("gru"), [batch], 1, RATE)) for batch in through_time_in_two.of_two_lengths())
    shorter = [0.0] * (len(first) - len(second)) + second
    assert found["two lengths"] == pytest.approx(
        [(one**2 + two**2) ** 0.5 / 2 for one, two in zip(first, shorter, strict=True)], **EXACT
    )


@pytest.mark.parametrize("scale", [None, 2.0**8])
@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_of_ones_own(kind, scale):
    net, data = Net(kind), batches(4)
    watched, kept = copy.deepcopy(net), {}
    optimizer = torch.optim.SGD(watched.parameters(), lr=RATE)
    scaler = GradScaler("cpu", init_scale=scale) if scale else None
    options = {"scaler": scaler, "accumulate_grad_batches": 2, "every_n_steps": 1}
    with watch(watched, optimizer, logger=lambda step, numbers: kept.update({step: numbers}), **options) as vitals:
        for index, (x, y) in enumerate(data):
            loss = F.cross_entropy(watched(x), y) / 2
            (scaler.scale(loss) if scaler else loss).backward()
            if index % 2:
                scaler.step(optimizer) if scaler else optimizer.step()
                if scaler:
                    scaler.update()
                optimizer.zero_grad()
            vitals.log(loss)
    for step, expected in enumerate(twin(net, data, 2, RATE)):
        assert list(vitals.through_time.of(f"00.{LAYER}")[step].norms) == pytest.approx(expected, **EXACT)
        assert kept[step][f"time_grad_norm/00.{LAYER}/first"] == pytest.approx(expected[0], **EXACT)
    assert vitals.plot("time").axes[0].get_yscale() == "log"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in watched.modules())


class Packed(Net):
    """Reads packed sequences of mixed lengths; the last step of each is at the end of its own."""

    def forward(self, x: PackedSequence) -> Tensor:
        h = self.layer(x)[1]
        return self.head((h[0] if isinstance(h, tuple) else h)[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_batch_is_its_sequences_one_by_one(kind):
    several = [torch.randn(steps, INPUTS) for steps in (3, 6, 2)]
    y, net = torch.arange(3) % 2, Packed(kind)
    monitor = fit(Model(copy.deepcopy(net)), [(pack_sequence(several, enforce_sorted=False), y)])
    squares, net = torch.zeros(6, dtype=torch.float64), net.double()
    for x, target in zip(several, y, strict=True):
        outputs, leaves = unrolled(kind, net.layer, x.double().unsqueeze(0))
        (F.cross_entropy(net.head(outputs[:, -1]), target.reshape(1)) / 3).backward()
        squares[-len(x) :] += torch.stack([leaf.grad.square().sum() for leaf in leaves])
    assert profile_of(monitor) == pytest.approx(squares.sqrt().tolist(), **EXACT)


class Stacked(nn.Module):
    """Two layers, of which the upper one reads in both directions, behind an embedding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(9, INPUTS)
        self.lower = nn.GRU(INPUTS, 4, batch_first=True)
        self.upper = nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(6, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.upper(self.lower(self.embedding(tokens))[0])[0].mean(1))


def test_several_layers_each_have_a_profile():
    net, tokens, y = Stacked(), torch.arange(20).reshape(4, 5) % 9, torch.arange(4) % 2
    monitor = fit(Model(copy.deepcopy(net)), [(tokens, y)])
    net.double()
    x = net.embedding(tokens)
    x.retain_grad()
    middle = net.lower(x)[0]
    middle.retain_grad()
    F.cross_entropy(net.head(net.upper(middle)[0].mean(1)), y).backward()
    assert monitor.through_time.labels == ["01.net.lower", "02.net.upper"]
    for label, leaf in (("01.net.lower", x), ("02.net.upper", middle)):
        expected = leaf.grad.square().sum((0, 2)).sqrt().tolist()
        assert profile_of(monitor, label) == pytest.approx(expected, **EXACT)


class Adversaries(LightningModule):
    """Two optimizers, each with a loss that runs through both networks."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        torch.manual_seed(0)
        self.one, self.two = Net("gru"), nn.Linear(2, 2)

    def training_step(self, batch, batch_idx):
        x, y = batch
        for optimizer, factor in zip(reversed(self.optimizers()), (3.0, 1.0), strict=True):
            optimizer.zero_grad()
            self.manual_backward(factor * F.cross_entropy(self.two(self.one(x)), y))
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), lr=0.0) for part in (self.one, self.two)]


def test_the_loss_of_another_optimizer_does_not_count():
    model, ((x, y),) = Adversaries(), batches(1)
    monitor = fit(copy.deepcopy(model), [(x, y)] * 3)
    leaf = x.double().requires_grad_()
    F.cross_entropy(model.double().two(model.one(leaf)), y).backward()
    expected = leaf.grad.square().sum((0, 2)).sqrt().tolist()
    measured = monitor.through_time.of("00.one.layer")
    assert len(measured) == 3
    for norms in measured.values():
        assert list(norms.norms) == pytest.approx(expected, **EXACT)


def test_the_training_is_the_same_bit_for_bit():
    def weights(*callbacks):
        model = Model(Net("lstm"))
        bare_trainer(*callbacks, max_epochs=3).fit(model, DataLoader(batches(6), batch_size=None))
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        return torch.cat([weight.detach().flatten() for weight in model.parameters()])

    assert torch.equal(weights(GradientVitals(every_n_steps=2)), weights())


def test_a_network_without_recurrent_layers_has_none():
    monitor = fit(Model(nn.Sequential(nn.Flatten(), nn.Linear(STEPS * INPUTS, 2))), batches(2))
    assert not monitor.through_time.values
    assert not any("time_grad_norm" in tag for tag in monitor.start)
    with pytest.raises(ValueError, match=r"plot\('time'\): time_grad_norm was not measured: there is no nn.RNN"):
        monitor.plot("time")


def test_a_resumed_fit_keeps_the_profiles(tmp_path):
    net, data = Net("rnn"), batches(4)
    whole = fit(Model(copy.deepcopy(net)), data, max_epochs=2)
    first, model = GradientVitals(every_n_steps=1), Model(copy.deepcopy(net))
    trainer = bare_trainer(first, max_epochs=1)
    trainer.fit(model, DataLoader(data, batch_size=None))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    second = GradientVitals(every_n_steps=1)
    trainer = bare_trainer(second, max_epochs=2)
    options = {"ckpt_path": tmp_path / "a.ckpt", "weights_only": True}
    trainer.fit(Model(copy.deepcopy(net)), DataLoader(data, batch_size=None), **options)
    assert list(second.through_time.values) == list(range(8))
    assert second.through_time.values == whole.through_time.values


def test_a_history_is_thinned_over_steps_and_over_time():
    history = TimeHistory(most=4)
    for step in range(0, 50, 5):
        history.add(step, {"00.rnn": [float(step)] * 1000, "01.rnn": [1.0, 2.0]})
        history.add(step, {"02.rnn": [3.0, 4.0]})  # of another optimizer
    assert list(history.values) == [0, 20, 40]
    assert history.labels == ["00.rnn", "01.rnn", "02.rnn"]
    assert history.of("02.rnn")[40] == TimeNorms(2, (3.0, 4.0))
    long = history.of("00.rnn")[20]
    assert (long.steps, len(long.norms), long.places[0], long.places[-1]) == (1000, 128, 0, 999)
    again = TimeHistory(most=4)
    again.load_state_dict(history.state_dict())
    assert again.values == history.values
    for known in (history, again):
        known.add(50, {"00.rnn": [1.0, 1.0]})
        known.add(55, {"00.rnn": [1.0, 1.0]})
        known.add(60, {"00.rnn": [1.0, 1.0]})
    assert list(again.values) == list(history.values) == [0, 20, 40, 60]
