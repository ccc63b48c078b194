"""The monitor's numbers against plain autograd in float64, in every mode of training."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule, seed_everything
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import Classifier, GradientVitals
from gradvitals.clipping import clip_adaptive_
from tests.callbacks.trainer import bare_trainer
from tests.callbacks.twin import Twin

X, Y = torch.randn(64, 6, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 3
MODEL = {"_target_": "gradvitals.nets.mlp.MLP", "depth": 2, "width": 5, "norm": "batch"}
NAMES = ("net.layers.0.linear", "net.layers.1.linear", "net.head")
AFTER = {"net.layers.0.linear": "net.layers.0.act", "net.layers.1.linear": "net.layers.1.act"}
EXACT = {"rel": 1e-5, "abs": 1e-12}


def classifier(clip=None, act="tanh", fused=False, lr=0.1) -> Classifier:
    seed_everything(0, verbose=False)
    optimizer = {"_target_": "torch.optim.Adam", "lr": lr, "fused": fused}
    return Classifier(MODEL, 6, 3, act={"name": act}, optimizer=optimizer, clip=clip)


def fit(model: LightningModule, monitor: GradientVitals, x=X, y=Y, batch_size=16, **options) -> None:
    trainer = bare_trainer(monitor, **{"max_steps": 1} | options)
    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size)
    trainer.fit(model, loader, loader if hasattr(model, "val_metrics") else None)


def batches(count: int, size: int = 16) -> list:
    return [(X[i : i + size], Y[i : i + size]) for i in range(0, count * size, size)]


def clipping(name: str, twin: Twin, val: float):
    """How the twin clips, and what makes the monitor's model do so: the Classifier's spec and the Trainer's arguments."""
    if name == "norm":
        return lambda ps: clip_grad_norm_(ps, val), None, {"gradient_clip_val": val}
    if name == "value":
        trainer = {"gradient_clip_val": val, "gradient_clip_algorithm": "value"}
        return lambda ps: clip_grad_value_(ps, val), None, trainer
    head = set(twin.net.net.head.parameters())
    return lambda ps: clip_adaptive_([p for p in ps if p not in head], val), {"name": "agc", "val": val}, {}


@pytest.mark.parametrize(
    ("clip", "accumulate", "fused"), list(itertools.product(("none", "norm", "value", "agc"), (1, 4), (False, True)))
)
def test_clipping_accumulation_and_fused_optimizers(clip, accumulate, fused):
    twin = Twin(classifier(fused=fused), NAMES, AFTER).backward(batches(accumulate), F.cross_entropy)
    expected, spec, trainer = twin.before(), None, {}
    if clip != "none":
        apply, spec, trainer = clipping(clip, twin, 1e-3)
        expected |= twin.after_clipping(apply)
    expected |= twin.step(lambda ps: torch.optim.Adam(ps, lr=0.1))
    monitor = GradientVitals()
    fit(classifier(spec, fused=fused), monitor, accumulate_grad_batches=accumulate, **trainer)
    assert monitor.start == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("act", ["sigmoid", "hardtanh", "softsign", "relu", "gelu", "selu"])
def test_activations(act):
    twin = Twin(classifier(act=act), NAMES, AFTER).backward(batches(1), F.cross_entropy)
    monitor = GradientVitals(updates=False)
    fit(classifier(act=act), monitor)
    expected = {tag: value for tag, value in twin.before().items() if not tag.startswith("weight_norm")}
    assert monitor.start == pytest.approx(expected, **EXACT)


def test_the_saturated_share_is_where_the_slope_is_below_a_twentieth():
    # Tanh's slope 1 - a^2 is 1 at its largest: saturated where |a| > .95 ** .5 = .9747, |x| > 2.18.
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64, requires_grad=True)
    for act in (nn.Tanh(), nn.Sigmoid(), nn.Softsign()):
        (slope,) = torch.autograd.grad(act(x).sum(), x)
        from gradvitals.vitals import bounds

        low, high = bounds(act)
        outside = (act(x) <= low) | (act(x) >= high)
        assert torch.equal(outside, slope < 0.05 * slope.max())


def autocast(dtype: torch.dtype, scale: float = 1.0) -> Twin:
    """The same arithmetic in a hand-written loop, with the same loss scale."""
    twin = Twin(classifier(), NAMES, AFTER, torch.float32)
    twin.scale = scale

    def loss(outputs, y):
        return F.cross_entropy(outputs, y) * scale

    with torch.autocast("cpu", dtype, cache_enabled=False):
        return twin.backward(batches(1), loss)


@pytest.mark.parametrize("fused", [False, True])
def test_16_mixed_with_a_scaler(fused):
    scale = 2.0**10
    plugin = MixedPrecision("16-mixed", "cpu", scaler=GradScaler("cpu", init_scale=scale))
    monitor = GradientVitals()
    fit(classifier(fused=fused), monitor, plugins=[plugin])
    twin = autocast(torch.float16, scale)
    expected = twin.before() | twin.step(lambda ps: torch.optim.Adam(ps, lr=0.1))
    found = dict(monitor.start)
    assert (found.pop("scaler/scale", scale), found.pop("scaler/skipped_steps", 0.0)) == (scale, 0.0)
    assert found == pytest.approx(expected, **EXACT)


def test_bf16_mixed():
    monitor = GradientVitals()
    fit(classifier(), monitor, precision="bf16-mixed")
    twin = autocast(torch.bfloat16)
    expected = twin.before() | twin.step(lambda ps: torch.optim.Adam(ps, lr=0.1))
    assert monitor.start == pytest.approx(expected, **EXACT)


class Manual(LightningModule):
    """Manual optimization that clips: the monitor sees what the user's clipping left."""

    def __init__(self, net: nn.Module, clip_val: float) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net, self.clip_val = net, clip_val

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(F.cross_entropy(self.net(batch[0]), batch[1]))
        clip_grad_norm_(self.parameters(), self.clip_val)
        optimizer.step()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=100.0)


def test_manual_optimization_sees_what_the_users_clipping_left():
    twin = Twin(classifier(), NAMES, AFTER).backward(batches(1), F.cross_entropy)
    expected = twin.before()
    clipped = twin.after_clipping(lambda ps: clip_grad_norm_(ps, 1e-3))
    expected |= {tag.replace("_clipped", ""): v for tag, v in clipped.items() if tag.startswith("grad_norm_clipped")}
    expected |= twin.step(lambda ps: torch.optim.SGD(ps, lr=100.0))  # a small step would be rounded
    monitor = GradientVitals()
    fit(Manual(classifier().net, 1e-3), monitor)
    found = {tag: v for tag, v in monitor.start.items() if not tag.startswith("grad_norm_corrected")}
    expected = {tag: v for tag, v in expected.items() if not tag.startswith("grad_norm_corrected")}
    assert found == pytest.approx(expected, **EXACT)


class Pair(LightningModule):
    """An encoder and a decoder, each with an optimizer of its own."""

    def __init__(self, one_loss: bool) -> None:
        super().__init__()
        self.automatic_optimization = False
        seed_everything(0, verbose=False)
        self.one, self.two, self.one_loss = nn.Linear(6, 5), nn.Linear(5, 3), one_loss

    def forward(self, x):
        return self.two(self.one(x).tanh())

    def training_step(self, batch, batch_idx):
        first, second = self.optimizers()
        x, y = batch
        if self.one_loss:
            first.zero_grad()
            second.zero_grad()
            self.manual_backward(F.cross_entropy(self(x), y))
            first.step()
            second.step()
        else:  # as adversaries: each has a loss that runs through both
            for optimizer, sign in ((second, 1), (first, -1)):
                optimizer.zero_grad()
                self.manual_backward(sign * F.cross_entropy(self(x), y))
                optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(net.parameters(), lr=0.1) for net in (self.one, self.two)]


@pytest.mark.parametrize("one_loss", [True, False])
def test_two_optimizers(one_loss):
    monitor = GradientVitals(first_steps=1)
    fit(Pair(one_loss), monitor, max_steps=2)
    twin = Twin(Pair(one_loss), ("one", "two"), {}).backward(batches(1), F.cross_entropy)
    first = twin.before()
    if not one_loss:  # the second optimizer has moved when the first one's turn comes
        twin.step(lambda ps: torch.optim.SGD(twin.net.two.parameters(), lr=0.1))
        again = Twin(twin.net, ("one", "two"), {})
        first = first | {k: v for k, v in again.backward(batches(1), F.cross_entropy).before().items() if "00.one" in k}
    layers = {tag: value for tag, value in first.items() if "/0" in tag}
    assert {tag: monitor.start[tag] for tag in layers} == pytest.approx(layers, **EXACT)
    ours = [p.grad.flatten() for p in twin.net.two.parameters()]
    assert monitor.start["grad_norm/total.1"] == pytest.approx(torch.cat(ours).norm().item(), **EXACT)
    assert "grad_norm/total" not in monitor.start


class Compiled(LightningModule):
    """Part of the network is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.compile(classifier().net, backend="aot_eager")

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("whole", [False, True])
def test_a_compiled_module(whole):
    model = torch.compile(classifier(), backend="aot_eager") if whole else Compiled()
    monitor = GradientVitals(every_n_steps=2, first_steps=0, max_layers=None)
    fit(model, monitor, max_steps=4)
    twin = Twin(classifier(), NAMES, AFTER).backward(batches(1), F.cross_entropy)
    expected = twin.before()
    assert {tag: monitor.start.get(tag) for tag in expected} == pytest.approx(expected, **EXACT)
    assert list(monitor.history.values) == [0, 2]
