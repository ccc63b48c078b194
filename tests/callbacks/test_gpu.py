"""On a GPU: nothing waits between measured steps, and 16-mixed tells true values."""

import pytest
import torch
import torch.nn.functional as F
from lightning import Callback, Trainer, seed_everything
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import Classifier, GradientVitals
from gradvitals.app.run.assemble import assemble
from tests.callbacks.twin import Twin
from tests.conftest import composed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
X, Y = torch.randn(64, 6, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 3
MODEL = {"_target_": "gradvitals.nets.mlp.MLP", "depth": 2, "width": 16, "norm": "batch"}
NAMES = ("net.layers.0.linear", "net.layers.1.linear", "net.head")
AFTER = {"net.layers.0.linear": "net.layers.0.act", "net.layers.1.linear": "net.layers.1.act"}


def classifier(fused: bool = True) -> Classifier:
    seed_everything(0, verbose=False)
    optimizer = {"_target_": "torch.optim.Adam", "lr": 0.1, "fused": fused}
    return Classifier(MODEL, 6, 3, act={"name": "tanh"}, optimizer=optimizer)


def fit(monitor: GradientVitals, *callbacks: Callback, fused: bool = True, **options) -> None:
    trainer = Trainer(
        **{"max_steps": 1, "accelerator": "gpu", "devices": 1, "logger": False} | options,
        callbacks=[*callbacks[:1], monitor, *callbacks[1:]],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10**6,
    )
    model = classifier(fused)
    trainer.fit(model, DataLoader(TensorDataset(X, Y), batch_size=16))


class Forbids(Callback):
    """In front of the monitor: makes each wait for the device an error in steps that are not measured."""

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps, self.steps = every_n_steps, 0

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step % self.every_n_steps:
            torch.cuda.set_sync_debug_mode("error")
            self.steps += 1


class Allows(Callback):
    """Behind it: ends that."""

    def on_train_batch_end(self, *_):
        torch.cuda.set_sync_debug_mode("default")

    on_exception = on_train_batch_end


def test_nothing_waits_between_measured_steps():
    forbids, monitor = Forbids(every_n_steps=5), GradientVitals(every_n_steps=5, first_steps=0)
    fit(monitor, forbids, Allows(), max_steps=40, max_epochs=-1)
    assert forbids.steps == 32
    assert len(monitor.history.values) == 8


@pytest.mark.parametrize("fused", [False, True])
def test_16_mixed_tells_the_gradient_of_the_loss_itself(fused):
    monitor = GradientVitals()
    fit(monitor, fused=fused, precision="16-mixed")
    twin = Twin(classifier(), NAMES, AFTER, torch.float32)
    twin.net.cuda()
    twin.scale = 2.0**16
    with torch.autocast("cuda", torch.float16, cache_enabled=False):
        twin.backward([(X[:16].cuda(), Y[:16].cuda())], lambda h, y: F.cross_entropy(h, y) * twin.scale)
    expected = {tag: v for tag, v in twin.before().items() if tag.startswith(("grad_norm/", "activation_grad_norm/"))}
    assert {tag: monitor.start[tag] for tag in expected} == pytest.approx(expected, rel=1e-5)


def test_numbers_are_those_of_a_processor():
    on_gpu, on_cpu = GradientVitals(), GradientVitals()
    fit(on_gpu)
    fit(on_cpu, accelerator="cpu")
    assert on_gpu.start == pytest.approx(on_cpu.start, rel=1e-4)


def test_the_apps_data_lies_on_the_gpu(tmp_path):
    run = assemble(composed("trainer=gpu", "trainer.max_epochs=1", run_dir=str(tmp_path)))
    run.trainer.fit(run.model, datamodule=run.data)
    assert run.trainer.train_dataloader.dataset.split.x.is_cuda


def test_captured_steps_give_the_same_numbers(tmp_path):
    losses = []
    for words in ((), ("compile=reduce-overhead",)):
        seed_everything(0, verbose=False)
        typed = ("trainer=gpu", "trainer.max_epochs=2", *words)
        run = assemble(composed(*typed, run_dir=str(tmp_path / str(len(losses)))))
        run.trainer.fit(run.model, datamodule=run.data)
        losses.append(run.history.metrics["val/loss"]["final"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
