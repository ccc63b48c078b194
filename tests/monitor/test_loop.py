"""The monitor in a training loop that is not Lightning."""

import subprocess
import sys

import torch
from torch.utils.data import DataLoader

from gradvitals import GradientVitals
from gradvitals.distributed.collectives import ALONE
from gradvitals.monitor.monitor import Monitor
from gradvitals.monitor.settings import Settings
from tests.callbacks.trainer import bare_trainer
from tests.monitor.small_fit import Model


class ByHand:
    """A training loop of one's own, as little of one as the monitor needs."""

    processes, scaler, clips, can_repeat, should_stop, planned_steps = ALONE, None, True, False, False, 8
    accumulates, passes_labels, ends_together = 1, True, True

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
