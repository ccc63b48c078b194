"""The monitor's numbers against plain autograd in float64."""

import contextlib
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.callbacks.gradient_vitals import GradientVitals
from gradvitals.classifier import Classifier
from gradvitals.loggers.tags import tagged
from tests.callbacks.trainer import bare_trainer

X, Y = torch.randn(64, 6, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 3
MODEL = {"_target_": "gradvitals.nets.mlp.MLP", "depth": 2, "width": 5, "norm": "batch"}


def classifier(**options) -> Classifier:
    seed_everything(0, verbose=False)
    return Classifier(
        MODEL, in_features=6, num_classes=3, optimizer={"_target_": "torch.optim.SGD", "lr": 0.1}, **options
    )


def fit(model: LightningModule, monitor: GradientVitals, **options) -> Trainer:
    batch_size = options.pop("batch_size", 32)
    options = {"max_steps": 1} | options
    callbacks = [monitor, *options.pop("callbacks", [])]
    trainer = bare_trainer(*callbacks, **options)
    loader = DataLoader(TensorDataset(X, Y), batch_size=batch_size)
    trainer.fit(model, loader, loader if isinstance(model, Classifier) else None)
    return trainer


@pytest.mark.parametrize(("accumulate", "steps"), [(1, [0, 3, 6, 9]), (2, [0, 3])])
def test_cadence_counts_optimizer_steps(accumulate, steps):
    monitor = GradientVitals(every_n_steps=3, first_steps=0)
    fit(classifier(), monitor, max_steps=-1, max_epochs=5, accumulate_grad_batches=accumulate)
    assert list(monitor.history.values) == steps


def test_the_first_steps_are_all_measured():
    monitor = GradientVitals(every_n_steps=6, first_steps=3)
    fit(classifier(), monitor, max_steps=-1, max_epochs=4)
    assert list(monitor.history.values) == [0, 1, 2, 6]


def test_after_a_spike_each_step_is_measured():
    # The weight's gradient is the input: 1, but 100 at step 20, which is a measured one.
    class Spike(LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(1, 1, bias=False)

        def training_step(self, batch, batch_idx):
            return self.net(torch.tensor([[100.0 if self.trainer.global_step == 20 else 1.0]])).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.0)

    monitor = GradientVitals(every_n_steps=4, first_steps=5, spike_factor=8.0, spike_steps=2)
    fit(Spike(), monitor, max_steps=30, max_epochs=-1)
    assert list(monitor.history.values) == [0, 1, 2, 3, 4, 8, 12, 16, 20, 21, 22, 24, 28]


def test_events_hold_the_numbers_one_event_for_all(tmp_path):
    monitor = GradientVitals(every_n_steps=1)
    logger = TensorBoardLogger(tmp_path, name="", version="")
    fit(classifier(), monitor, logger=logger, max_steps=2)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for tag, value in monitor.end.items():
        assert [e.step for e in events.Scalars(tag)] == [0, 1]
        assert events.Scalars(tag)[1].value == pytest.approx(value, rel=1e-6)
    times = {events.Scalars(tag)[1].wall_time for tag in monitor.end}
    assert len(times) == 1


def test_other_loggers_get_them_too(tmp_path):
    logger = CSVLogger(tmp_path, name="", version="")
    fit(classifier(), GradientVitals(), logger=logger)
    logger.save()
    assert "grad_norm/00.net.layers.0.linear" in (tmp_path / "metrics.csv").read_text()


def test_value_clipping_by_hand():
    # One weight of two entries: dL/dw = x = (3, 0.5), clamped to (1, 0.5).
    class Line(LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(2, 1, bias=False)

        def training_step(self, batch, batch_idx):
            return self.net(torch.tensor([[3.0, 0.5]])).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.0)

    monitor = GradientVitals(clip_cosine=True)
    fit(Line(), monitor, gradient_clip_val=1.0, gradient_clip_algorithm="value")
    before, after = 9.25**0.5, 1.25**0.5
    assert monitor.start["grad_norm/00.net"] == pytest.approx(before)
    assert monitor.start["grad_norm_clipped/00.net"] == pytest.approx(after)
    assert monitor.start["clip/coefficient"] == pytest.approx(after / before)
    assert monitor.start["clip/fraction"] == 1.0
    assert monitor.start["clip/cosine"] == pytest.approx((3 * 1 + 0.5 * 0.5) / (before * after))


def test_the_fraction_of_clipped_steps():
    # Gradients of 1, 2, 3, 4 under a threshold of 2.5: two of four steps are changed.
    class Growing(LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(1, 1, bias=False)

        def training_step(self, batch, batch_idx):
            return self.net(torch.tensor([[self.trainer.global_step + 1.0]])).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.0)

    monitor = GradientVitals(every_n_steps=1)
    fit(Growing(), monitor, max_steps=4, max_epochs=2, gradient_clip_val=2.5)
    assert monitor.clipped_fraction == 0.5
    assert monitor.end["clip/coefficient"] == pytest.approx(2.5 / 4, rel=1e-6)


@pytest.mark.parametrize(
    ("clip", "together", "per_tensor"),
    [("norm", True, True), ("per_parameter", False, True), ("value", False, False), ("agc", False, False)],
)
def test_which_clipping_keeps_the_direction(clip, together, per_tensor):
    monitor, options = GradientVitals(clip_cosine=True), {}
    if clip in ("norm", "value"):
        options = {"gradient_clip_val": 0.01, "gradient_clip_algorithm": clip}
    fit(classifier(clip={"name": clip, "val": 0.01}), monitor, **options)
    assert monitor.clipped_fraction == 1.0
    for tag, kept in (("clip/cosine", together), ("clip/cosine_per_tensor", per_tensor)):
        assert monitor.start[tag] == pytest.approx(1, abs=1e-6) if kept else monitor.start[tag] < 0.99


def test_nothing_is_said_of_clipping_where_nothing_clips():
    monitor = GradientVitals()
    fit(classifier(), monitor)
    assert monitor.clipped_fraction is None
    assert not [tag for tag in monitor.start if "clip" in tag]


class TwoOptimizers(LightningModule):
    """Manual optimization of two nets, the second of which never gets a gradient in the first's step."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.a, self.b = nn.Linear(6, 3), nn.Linear(6, 3)

    def training_step(self, batch, batch_idx):
        x, y = batch
        for net, optimizer in zip((self.a, self.b), self.optimizers(), strict=True):
            optimizer.zero_grad()
            self.manual_backward(F.cross_entropy(net(x), y))
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(self.a.parameters(), lr=0.1), torch.optim.SGD(self.b.parameters(), lr=0.1)]


class Seeing(GradientVitals):
    """Keeps what each step of each optimizer brought."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seen = []

    def _take_in(self, measured):
        super()._take_in(measured)
        tags = tagged(measured.labelled, measured.totals)
        self.seen.append((measured.step, {tag for tag in tags if tag.startswith(("grad_norm/", "activation_g"))}))


def test_each_optimizer_is_measured_alone():
    monitor = Seeing(every_n_steps=1)
    fit(TwoOptimizers(), monitor, max_steps=2)
    assert monitor.seen == [
        (0, {"grad_norm/00.a", "activation_grad_norm/00.a", "grad_norm/total.0", "grad_norm/input.0"}),
        (0, {"grad_norm/01.b", "activation_grad_norm/01.b", "grad_norm/total.1"}),
    ]
    assert {step: set(layers) for step, layers in monitor.history.values.items()} == {0: {"00.a", "01.b"}}
    assert {"grad_norm/00.a", "grad_norm/01.b"} <= set(monitor.start) & set(monitor.end)


class Critic(TwoOptimizers):
    """The second optimizer steps once for three steps of the first, as a generator does behind its critic."""

    def training_step(self, batch, batch_idx):
        x, y = batch
        of_a, of_b = self.optimizers()
        chosen = [(self.a, of_a)] + ([(self.b, of_b)] if batch_idx % 3 == 2 else [])
        for net, optimizer in chosen:
            optimizer.zero_grad()
            self.manual_backward(F.cross_entropy(net(x), y))
            optimizer.step()


def test_optimizers_that_step_at_different_rates_are_each_measured():
    monitor = Seeing(every_n_steps=2, first_steps=0)
    fit(Critic(), monitor, max_epochs=2, max_steps=-1, batch_size=5)  # 13 batches each
    of = {i: [step for step, tags in monitor.seen if f"grad_norm/total.{i}" in tags] for i in (0, 1)}
    assert of[0] == list(range(0, 26, 2))
    assert of[1] == [2, 8, 15, 21]  # of its steps 2, 5, 8, 11, 15, 18, 21, 24 each second one
    assert all(
        f"activation_grad_norm/0{i}.{net}" in tags
        for i, net in enumerate("ab")
        for _, tags in monitor.seen
        if f"grad_norm/0{i}.{net}" in tags
    )


def test_an_optimizer_that_never_steps_is_not_waited_for():
    class Idle(Critic):
        def training_step(self, batch, batch_idx):
            super().training_step(batch, 0)

    monitor = Seeing(every_n_steps=1000, first_steps=0)
    hooked = []

    class Looks(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            hooked.append(bool(pl_module.a._forward_hooks))

    fit(Idle(), monitor, max_epochs=4, max_steps=-1, batch_size=5, callbacks=[Looks()])
    assert not any(hooked[20:])
    assert [step for step, _ in monitor.seen] == [0]


class Tokens(LightningModule):
    """Integers in, a sparse gradient, a frozen layer and one that is never used."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(10, 4, sparse=True), nn.Linear(4, 3)
        self.frozen, self.unused = nn.Linear(4, 4).requires_grad_(False), nn.Linear(2, 2)

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.head(self.frozen(self.embedding(batch[1]))), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_sparse_missing_and_frozen_gradients():
    monitor = GradientVitals()
    fit(Tokens(), monitor)
    weights = {tag for tag in monitor.start if tag.startswith("grad_norm/")}
    assert weights == {"grad_norm/00.embedding", "grad_norm/02.head", "grad_norm/total"}
    # The gradient passes through a frozen layer all the same.
    outputs = {tag for tag in monitor.start if tag.startswith("activation_grad_norm/")}
    assert outputs == {f"activation_grad_norm/{label}" for label in ("00.embedding", "01.frozen", "02.head")}
    assert [layer.name for layer in monitor.layers] == ["embedding", "frozen", "head", "unused"]


class Stops(Callback):
    """Keeps the Trainer, and raises in the middle of a measured step if asked."""

    def __init__(self, stops):
        self.stops = stops

    def on_before_zero_grad(self, trainer, *_):
        self.trainer = trainer
        if self.stops:
            raise RuntimeError("stop here")


def test_hooks_come_off_after_a_fit_and_after_an_exception():
    for stops in (False, True):
        model, monitor, keeper = classifier(), GradientVitals(every_n_steps=1), Stops(stops)
        with contextlib.suppress(RuntimeError):
            fit(model, monitor, callbacks=[keeper], gradient_clip_val=1e-3)
        trainer = keeper.trainer
        assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
        assert not trainer.optimizers[0]._optimizer_step_post_hooks


def test_it_fits_twice_and_is_pickled():
    monitor = GradientVitals(every_n_steps=2, first_steps=0)
    fit(classifier(), monitor, max_steps=3, gradient_clip_val=1e-3)
    other = Classifier(MODEL | {"depth": 1}, in_features=6, num_classes=3)
    fit(other, monitor, max_steps=2)
    assert [layer.name for layer in monitor.layers] == ["net.layers.0.linear", "net.head"]
    assert {tag.rpartition(".")[2] for tag in monitor.start if tag.startswith("grad_norm/0")} == {"linear", "head"}
    assert list(monitor.profiles) == [0]
    assert monitor.clipped_fraction is None
    again = pickle.loads(pickle.dumps(monitor))
    assert again.settings == monitor.settings
    assert again.start == monitor.start


def test_the_monitor_does_not_change_training():
    def weights(callbacks):
        model = classifier()
        trainer = Trainer(
            max_epochs=3, logger=False, accelerator="cpu", callbacks=callbacks,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        loader = DataLoader(TensorDataset(X, Y), batch_size=16)
        trainer.fit(model, loader, loader)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights([GradientVitals(every_n_steps=1)]), weights([]))


def test_cadence_below_one_is_refused():
    with pytest.raises(ValueError, match="monitor.every_n_steps: expected an integer of at least 1; got 0"):
        GradientVitals(every_n_steps=0)


def test_it_goes_on_from_a_checkpoint_that_holds_plain_values(tmp_path):
    monitor = GradientVitals(every_n_steps=1)
    fit(classifier(), monitor, max_steps=2, gradient_clip_val=1e-3)
    torch.save(monitor.state_dict(), tmp_path / "state.pt")
    resumed = GradientVitals(every_n_steps=1)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (resumed.start, resumed.end) == (monitor.start, monitor.end)
    assert resumed.history.values == monitor.history.values
    assert list(resumed.history.values) == [0, 1]
    assert resumed.clipped_fraction == 1.0


def test_it_resumes_from_a_checkpoint_that_holds_tags():
    """As they were written before numbers were kept by quantity and layer."""
    monitor, resumed = GradientVitals(every_n_steps=1), GradientVitals(every_n_steps=1)
    fit(classifier(), monitor, max_steps=2, gradient_clip_val=1e-3)
    resumed.load_state_dict(monitor.state_dict() | {"start": monitor.start, "end": monitor.end})
    assert (resumed.first, resumed.latest) == (monitor.first, monitor.latest)


def test_it_resumes_from_a_checkpoint_that_holds_only_profiles():
    """As they were written before the numbers of all quantities were kept."""
    monitor, resumed = GradientVitals(every_n_steps=1), GradientVitals(every_n_steps=1)
    fit(classifier(), monitor, max_steps=2)
    old = {"values": monitor.history.values, "seen": 2, "stride": 1}
    resumed.load_state_dict(monitor.state_dict() | {"moments": old})
    assert resumed.profiles == monitor.profiles
    assert resumed.end == monitor.end
    assert set(resumed.to_frame().quantity) == {"activation_grad_norm", "loss"}


class Follows(Callback):
    """Registers a step hook of its own behind the monitor's."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        optimizer.register_step_post_hook(lambda *_: None)


def test_other_step_hooks_are_left_alone():
    monitor = GradientVitals(every_n_steps=1)
    fit(classifier(), monitor, callbacks=[Follows()], max_steps=2, gradient_clip_val=1e-3)
    assert monitor.clipped_fraction == 1.0


@pytest.mark.parametrize("clip", [{}, {"gradient_clip_val": 1e-3}])
def test_a_step_that_the_scaler_skips_is_no_measurement(clip):
    from lightning.pytorch.plugins import MixedPrecision
    from torch.amp import GradScaler

    # The scaled gradient overflows in float16 until the scale has come down from 2 ** 40.
    plugin = MixedPrecision("16-mixed", "cpu", scaler=GradScaler("cpu", init_scale=2.0**40))
    monitor = GradientVitals(every_n_steps=1)
    fit(classifier(), monitor, max_epochs=30, max_steps=-1, plugins=[plugin], **clip)
    assert monitor.history.values
    assert 0 not in monitor.history.values
    assert all(math.isfinite(value) for value in (*monitor.start.values(), *monitor.end.values()))
    assert 0.01 < monitor.start["grad_norm/total"] < 100  # of the loss itself, not of the scaled one


def test_sixty_sigmoid_layers_vanish_and_are_not_dead():
    model = Classifier({"_target_": "gradvitals.nets.mlp.MLP", "depth": 60, "width": 32}, 6, 3, act={"name": "sigmoid"})
    monitor = GradientVitals()
    fit(model, monitor)
    first, *_, last = monitor.profiles[0]
    # Each layer keeps 0.236 in the mean (chi = 0.0557), a little less in narrow nets.
    assert math.log(first / last) / 60 == pytest.approx(math.log(0.236), rel=0.05)


def test_a_resumed_fit_knows_what_was_measured_before(tmp_path):
    def trainer(epochs, monitor):
        return Trainer(
            max_epochs=epochs, logger=False, accelerator="cpu", callbacks=[monitor], default_root_dir=tmp_path,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip

    loader = DataLoader(TensorDataset(X, Y), batch_size=32)
    begun, resumed = GradientVitals(every_n_steps=1), GradientVitals(every_n_steps=1)
    first = trainer(2, begun)
    first.fit(classifier(), loader, loader)
    first.save_checkpoint(tmp_path / "a.ckpt")
    trainer(3, resumed).fit(classifier(), loader, loader, ckpt_path=tmp_path / "a.ckpt")
    assert list(resumed.profiles) == [0, 1, 2, 3, 4, 5]
    assert resumed.start == begun.start


class Adversaries(LightningModule):
    """A generator and a discriminator that sees both; the generator's step passes through the discriminator."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.g, self.d = nn.Linear(6, 4), nn.Linear(4, 1)

    def training_step(self, batch, batch_idx):
        of_g, of_d = self.optimizers()
        of_d.zero_grad()
        self.manual_backward(100 * self.d(self.g(batch[0]).detach()).mean())
        of_d.step()
        of_g.zero_grad()
        self.manual_backward(self.d(self.g(batch[0])).mean())
        of_g.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(net.parameters(), lr=0.0) for net in (self.g, self.d)]


def test_a_layers_gradient_is_that_of_its_own_loss():
    monitor = GradientVitals(every_n_steps=1)
    fit(Adversaries(), monitor, max_steps=2)
    by_name = {layer.name: layer.label for layer in monitor.layers}
    # d puts out one number for each of 32 samples: dL/dh is 100 / 32 each in its own loss, 1 / 32 in the generator's.
    own = 100 / 32 * 32**0.5
    assert monitor.start[f"activation_grad_norm/{by_name['d']}"] == pytest.approx(own)
    assert monitor.profiles[0][[layer.name for layer in monitor.layers].index("d")] == pytest.approx(own)
