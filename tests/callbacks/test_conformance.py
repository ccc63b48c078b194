"""The life that every callback of the project must bear: built, fitted twice, interrupted, resumed, pickled, and so on.

Callbacks are found by reflection: a new one is tested before anyone writes a test.
"""

import contextlib
import gc
import importlib
import inspect
import pickle
import pkgutil
import weakref

import pytest
import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gradvitals.callbacks
from gradvitals import GradientVitals
from tests.callbacks.trainer import bare_trainer


def classes() -> list[type[Callback]]:
    found = set()
    for module in pkgutil.iter_modules(gradvitals.callbacks.__path__, "gradvitals.callbacks."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(cls, Callback) and cls.__module__.startswith("gradvitals."):
                found.add(cls)
    return sorted(found, key=lambda cls: cls.__name__)


@pytest.fixture(params=classes(), ids=lambda cls: cls.__name__)
def callback(request) -> Callback:
    return request.param()


class Model(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))

    def training_step(self, batch, batch_idx):
        loss = F.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


def loader() -> DataLoader:
    return DataLoader(TensorDataset(torch.randn(24, 4), torch.arange(24) % 3), batch_size=8)


def trainer(*callbacks: Callback, directory=None, **options) -> Trainer:
    return bare_trainer(*callbacks, **{"max_epochs": 2, "default_root_dir": directory} | options)


def beside(callback: Callback) -> list[Callback]:
    """A monitor for those that read one; Lightning saves the state of one of a kind."""
    return [] if isinstance(callback, GradientVitals) else [GradientVitals(every_n_steps=1)]


def hooks_of(model: nn.Module, fitted: Trainer) -> list:
    modules = [h for m in model.modules() for h in (*m._forward_hooks, *m._forward_pre_hooks, *m._backward_hooks)]
    return modules + [h for optimizer in fitted.optimizers for h in optimizer._optimizer_step_post_hooks]


def test_there_are_callbacks():
    assert {"GradientVitals", "GradientPicture", "MetricHistory"} <= {cls.__name__ for cls in classes()}


def test_fitted_twice_validated_and_tested(callback, tmp_path):
    for _ in range(2):
        model, run = Model(), trainer(callback, *beside(callback), directory=tmp_path)
        run.fit(model, loader(), loader())
        run.validate(model, loader(), verbose=False)
        run.test(model, loader(), verbose=False)
        assert not hooks_of(model, run)


@pytest.mark.parametrize("logger", [False, True])
def test_without_a_logger_and_with_two(callback, logger, tmp_path):
    loggers = (
        [TensorBoardLogger(tmp_path, name="", version=""), CSVLogger(tmp_path / "csv", name="", version="")]
        if logger
        else False
    )
    trainer(callback, *beside(callback), directory=tmp_path, logger=loggers).fit(Model(), loader(), loader())


@pytest.mark.parametrize(
    "options", [{"fast_dev_run": True}, {"max_epochs": 0}, {"max_steps": 1}, {"overfit_batches": 1}]
)
def test_short_fits(callback, options, tmp_path):
    trainer(callback, *beside(callback), directory=tmp_path, **options).fit(Model(), loader(), loader())


class Interrupts(Callback):
    """Ends a fit by an error, by Ctrl-C, or as early stopping does."""

    def __init__(self, how: str) -> None:
        self.how = how

    def on_before_zero_grad(self, trainer, *_):
        if trainer.global_step >= 2:
            if self.how == "stop":
                trainer.should_stop = True
            else:
                raise {"error": RuntimeError, "ctrl_c": KeyboardInterrupt}[self.how]


@pytest.mark.parametrize("how", ["error", "ctrl_c", "stop"])
def test_interrupted(callback, how, tmp_path):
    model, run = Model(), trainer(callback, *beside(callback), Interrupts(how), directory=tmp_path)
    expected = {"error": RuntimeError, "ctrl_c": SystemExit}
    with pytest.raises(expected[how]) if how in expected else contextlib.nullcontext():
        run.fit(model, loader(), loader())
    assert not hooks_of(model, run)
    trainer(callback, directory=tmp_path).fit(Model(), loader(), loader())  # and can be used again


def test_resumed_from_a_checkpoint_of_plain_values(callback, tmp_path):
    begun = trainer(callback, directory=tmp_path)
    begun.fit(Model(), loader(), loader())
    begun.save_checkpoint(tmp_path / "a.ckpt")
    state = torch.load(tmp_path / "a.ckpt", weights_only=True)["callbacks"].get(callback.state_key)
    resumed = type(callback)()
    trainer(resumed, directory=tmp_path, max_epochs=3).fit(Model(), loader(), loader(), ckpt_path=tmp_path / "a.ckpt")
    if state is not None:
        assert set(resumed.state_dict()) == set(state)


def test_pickled_before_and_after_a_fit(callback, tmp_path):
    pickle.loads(pickle.dumps(callback))
    trainer(callback, *beside(callback), directory=tmp_path).fit(Model(), loader(), loader())
    again = pickle.loads(pickle.dumps(callback))
    trainer(again, *beside(again), directory=tmp_path).fit(Model(), loader(), loader())


@pytest.mark.parametrize("how", ["to the end", "error"])
def test_it_keeps_no_reference_to_the_network(callback, how, tmp_path):
    if isinstance(callback, RichProgressBar):
        pytest.skip("Lightning's bar keeps its Trainer, and ours is one")
    model, run = Model(), trainer(callback, directory=tmp_path)
    if how == "error":
        run = trainer(callback, Interrupts("error"), directory=tmp_path)
        with pytest.raises(RuntimeError):
            run.fit(model, loader(), loader())
    else:
        run.fit(model, loader(), loader())
    gone = weakref.ref(model.net[0])
    for name in ("log", "log_dict"):  # Lightning's own: the module's methods
        vars(callback).pop(name, None)
    del model, run
    gc.collect()
    assert gone() is None


def test_training_is_the_same_to_the_last_bit(callback, tmp_path):
    def weights(*callbacks):
        torch.manual_seed(0)
        model, data = Model(), loader()
        trainer(*callbacks, directory=tmp_path, max_epochs=3).fit(model, data, data)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(callback), weights())
