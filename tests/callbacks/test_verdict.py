"""What the monitor makes of its numbers: a pre-flight, a verdict, an end that comes early."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import GradientVitals, preflight
from gradvitals.monitor.collectors.batch_statistics import BatchStatistics
from gradvitals.monitor.verdict import OnlineDiagnosis
from gradvitals.signal_propagation.reading import Preflight
from tests.callbacks.trainer import bare_trainer

X = torch.randn(512, 8, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


class Net(LightningModule):
    """Somebody's own module: nothing of ours but torch's modules in it."""

    def __init__(self, depth: int = 3, act=nn.ReLU, lr: float = 0.05, labels: torch.Tensor = Y) -> None:
        super().__init__()
        torch.manual_seed(0)
        hidden = [layer for _ in range(depth) for layer in (nn.Linear(8, 8), act())]
        self.net, self.lr = nn.Sequential(*hidden, nn.Linear(8, 3)), lr
        self.data = TensorDataset(X, labels)

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self):
        return DataLoader(self.data, batch_size=32)


def fit(net: LightningModule, monitor: GradientVitals | None = None, **options) -> GradientVitals:
    monitor = monitor or GradientVitals()
    bare_trainer(monitor, **{"max_steps": 200} | options).fit(net)
    return monitor


# the pre-flight


def test_the_fits_preflight_is_the_functions():
    monitor, net = fit(Net(), max_steps=1), Net()
    found = preflight(net.net, (X[:32], Y[:32]), F.cross_entropy, lambda ps: torch.optim.SGD(ps, lr=0.05))
    assert monitor.preflight.loss_start == pytest.approx(found.loss_start)
    names = ("activation_std", "activation_grad_norm", "gain_measured", "gain_predicted", "grad_norm_corrected")
    for mine, theirs in zip(monitor.preflight.layers, found.layers, strict=True):
        for name in (name for name in names if getattr(theirs, name) is not None):
            assert getattr(mine, name) == pytest.approx(getattr(theirs, name), rel=1e-5), name
        assert mine.update_ratio == pytest.approx(theirs.update_ratio, rel=1e-4)  # here the step itself
    assert all(layer.gain_predicted for layer in monitor.preflight.layers[:-1])


def test_the_preflight_survives_json_and_a_checkpoint():
    monitor, again = fit(Net(), max_steps=1), GradientVitals()
    again.load_state_dict(monitor.state_dict())
    assert again.preflight == monitor.preflight
    assert Preflight.of(json.loads(json.dumps(monitor.state_dict()["preflight"]))).layers == monitor.preflight.layers


def test_weights_that_theory_has_no_numbers_for_end_no_fit():
    net = Net(depth=8, act=nn.SELU)
    for parameter in net.net.parameters():
        parameter.data.mul_(1e30)
    found = fit(net, max_steps=3).diagnosis
    assert found.verdict in ("non_finite", "exploding")
    assert found.severity == 1


def test_without_activations_there_is_no_preflight():
    assert fit(Net(), GradientVitals(activations=False), max_steps=1).preflight is None


# the verdict on a module of one's own


def test_healthy():
    assert str(fit(Net(lr=0.5)).diagnosis) == "healthy"


def test_a_foreign_net_that_vanishes():
    monitor = fit(Net(depth=12, act=nn.Sigmoid))
    assert monitor.diagnosis.verdict == "vanishing"
    assert "as theory predicts" in monitor.diagnosis.findings[0].cause
    assert 0.9 < monitor.diagnosis.severity <= 1


def test_inputs_that_are_all_alike():
    net = Net(lr=0.5)
    net.data = TensorDataset(torch.ones_like(X), Y)
    found = fit(net).diagnosis
    assert (found.verdict, found.findings[0].evidence) == ("bad_data", "all samples of a batch have the same inputs")


class Shared(Net):
    """One loss of body and head, each with an optimizer of its own."""

    def __init__(self, passes: int = 1, **options) -> None:
        super().__init__(lr=0.5, **options)
        self.automatic_optimization, self.passes = False, passes

    def training_step(self, batch, batch_idx):
        optimizers = self.optimizers()
        for optimizer in optimizers:
            optimizer.zero_grad()
        for _ in range(self.passes):
            loss = super().training_step(batch, batch_idx)
            self.manual_backward(loss / self.passes)
        for optimizer in optimizers:
            optimizer.step()
        return loss

    def configure_optimizers(self):
        body, head = self.net[:-1].parameters(), self.net[-1].parameters()
        return [torch.optim.SGD(part, lr=self.lr) for part in (body, head)]


def test_several_optimizers_of_one_loss_are_judged_by_it_and_those_of_several_are_not():
    assert fit(Shared(), max_steps=400).diagnosis.verdict == "healthy"
    players = fit(Shared(passes=2), max_steps=400).diagnosis
    assert (players.verdict, players.reason.partition(",")[0]) == ("undecided", "several optimizers")


def test_layers_that_begin_at_zero_say_nothing_by_their_first_steps():
    """The first step of Adam is all that such a layer consists of, so that the second is about as large."""
    net = Net()
    for layer in (net.net[2], net.net[-1]):
        torch.nn.init.zeros_(layer.weight)
    net.configure_optimizers = lambda: torch.optim.Adam(net.parameters(), lr=1e-3)
    monitor = fit(net, GradientVitals(every_n_steps=1), max_steps=2)
    assert monitor.end["update_ratio/03.net.6"] > 0.5  # of the second step
    observations = monitor._verdict.run.history.observations
    assert max(o.update[2][1] for o in observations if o.update) < 0.05


def test_labels_of_one_class():
    """Few labels of one class do not tell a fault from a rare event, and several hundred of them do."""
    net = Net(labels=torch.zeros_like(Y))
    found = fit(net, GradientVitals(thresholds={"patience": 5}), max_steps=10).diagnosis
    assert (found.verdict, found.reason.partition(",")[0]) == ("undecided", "all labels seen so far are the same")
    found = fit(Net(labels=torch.zeros_like(Y))).diagnosis
    assert found.verdict == "bad_data"
    assert found.findings[0].evidence.startswith("all of the first 512 labels are 0")


def test_labels_out_of_range_of_a_binary_net():
    """Binary cross-entropy takes a label of 2 and runs off to minus infinity."""

    class Binary(Net):
        def training_step(self, batch, batch_idx):
            return F.binary_cross_entropy_with_logits(self.net(batch[0])[:, 0], batch[1].float())

    net = Binary()
    net.net[-1] = nn.Linear(8, 1)
    found = fit(net).diagnosis
    assert (found.verdict, found.findings[0].evidence) == (
        "head",
        "22% of the targets of binary_cross_entropy_with_logits are outside [0, 1]",
    )


def test_constant_weights():
    net = Net()
    for parameter in net.net.parameters():
        nn.init.constant_(parameter, 0.1)
    assert fit(net).diagnosis.verdict == "poor_init"


def test_a_head_of_zeros_is_no_poor_init():
    net = Net(lr=0.5)
    nn.init.zeros_(net.net[-1].weight)
    assert fit(net).diagnosis.verdict == "healthy"


def test_frozen_layers_are_no_sickness():
    net = Net(lr=0.5)
    net.net[0].requires_grad_(False)
    assert fit(net).diagnosis.verdict == "healthy"


def test_two_players_are_not_judged_by_losses_that_do_not_fall():
    class Players(Net):
        def __init__(self):
            super().__init__(depth=12, act=nn.Sigmoid)
            self.automatic_optimization = False
            self.other = nn.Linear(8, 3)

        def training_step(self, batch, batch_idx):
            for optimizer, net in zip(self.optimizers(), (self.net, self.other), strict=True):
                optimizer.zero_grad()
                self.manual_backward(F.cross_entropy(net(batch[0]), batch[1]))
                optimizer.step()

        def configure_optimizers(self):
            return [torch.optim.SGD(net.parameters(), lr=0.1) for net in (self.net, self.other)]

    monitor = fit(Players())
    assert (monitor.diagnosis.verdict, monitor.preflight) == ("undecided", None)


# an early end, and what is told


def test_auto_stop_ends_what_is_hopeless_and_says_what_that_saved():
    monitor = GradientVitals(auto_stop=True)
    trainer = bare_trainer(monitor, max_steps=2000)
    trainer.fit(Net(depth=12, act=nn.Sigmoid))
    assert monitor.diagnosis.step == 100  # five per cent of the steps that are planned
    assert 200 <= trainer.global_step <= 251  # as long again
    assert monitor.seconds_saved > 0


def test_auto_stop_lets_a_healthy_net_train():
    monitor = GradientVitals(auto_stop=True)
    trainer = bare_trainer(monitor, max_steps=300)
    trainer.fit(Net())
    assert (trainer.global_step, monitor.seconds_saved) == (300, None)


def test_thresholds_of_ones_own():
    assert (
        fit(Net(depth=12, act=nn.Sigmoid), GradientVitals(thresholds={"decades": 20, "weak_gain": 0})).diagnosis.verdict
        != "vanishing"
    )
    with pytest.raises(ValueError, match="monitor.thresholds"):
        GradientVitals(thresholds={"nonsense": 1})


def test_tensorboard_is_told(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="", version="")
    fit(Net(depth=12, act=nn.Sigmoid), logger=logger)
    events = EventAccumulator(str(tmp_path)).Reload()
    texts = [event.tensor_proto.string_val[0].decode() for event in events.Tensors("vitals/verdict")]
    assert len(texts) == 2  # as soon as it is known, and when the fit ends
    assert all(text.startswith("vanishing at step 50") for text in texts)
    assert [event.value for event in events.Scalars("vitals/severity")] == [pytest.approx(1, abs=0.1)]


def test_the_verdict_of_a_fit_that_is_resumed(tmp_path):
    """Interrupted after the verdict: it and its step are those of the run that was never interrupted."""
    whole = fit(Net(depth=12, act=nn.Sigmoid), max_steps=200)
    trainer = bare_trainer(GradientVitals(), max_steps=128)  # eight epochs
    trainer.fit(Net(depth=12, act=nn.Sigmoid))
    trainer.save_checkpoint(tmp_path / "at_128.ckpt")
    second = GradientVitals()
    bare_trainer(second, max_steps=200).fit(Net(depth=12, act=nn.Sigmoid), ckpt_path=tmp_path / "at_128.ckpt")
    assert (second.diagnosis.verdict, second.diagnosis.step) == (whole.diagnosis.verdict, whole.diagnosis.step)


def test_what_is_known_of_the_net_survives_a_resume(tmp_path):
    """Of a layer that began at zero, whose first steps are any multiple of it; and where no step is measured since."""

    def net() -> Net:
        made = Net(depth=2)
        nn.init.zeros_(made.net[2].weight)
        return made

    settings = {"every_n_steps": 10, "first_steps": 1}
    first, second = GradientVitals(**settings), GradientVitals(**settings)
    trainer = bare_trainer(first, max_steps=64)  # four epochs
    trainer.fit(net())
    trainer.save_checkpoint(tmp_path / "at_64.ckpt")
    bare_trainer(second, max_steps=127).fit(net(), ckpt_path=tmp_path / "at_64.ckpt")
    history = second._verdict.run.history
    assert all(place != 1 for observed in history.observations for place, _ in observed.update or ())
    examined = OnlineDiagnosis()
    examined.load_state_dict(second._verdict.state_dict())
    examined.take_last(127, [1.0], planned_steps=127)
    assert examined.run.history.subject == history.subject


# what the first batches tell


def test_what_is_no_batch_of_inputs_and_labels_is_passed_over():
    facts = BatchStatistics(batches=10)
    for batch in (torch.zeros(4, 2), [], {"x": 1}, (torch.zeros(4, 2),), (torch.zeros(4, 2), torch.zeros(4)), None):
        facts.measured_batch_begins(batch)
    assert facts.faults() == []


def test_a_run_whose_end_is_not_known_tells_no_seconds():
    assert OnlineDiagnosis().seconds_left(10) is None
