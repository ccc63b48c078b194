"""A fit with the lean loop beside the same fit with Lightning's: every hook heard, every number and every file."""

import copy
import functools
import logging
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loops.optimization.automatic import Closure
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adam, AdamW
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.loops.lean import STEERING, TRANSFERS, is_plain, lean
from gradvitals.loops.resumable import resumable
from tests.callbacks.trainer import bare_trainer

STEPS = ("optimizer_zero_grad", "configure_gradient_clipping", "backward", "lr_scheduler_step", *TRANSFERS)


def readable(value: Any) -> Any:
    """What == compares bit for bit."""
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, dict):
        return {key: readable(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [readable(v) for v in value]
    return (str(value.dtype), value.tolist()) if isinstance(value, Tensor) else type(value).__name__


def telling(cls: type, heard: list, names: tuple[str, ...] = ()) -> type:
    """A class of which every hook writes down what it is given, and where the loop stands."""

    def told(name: str) -> Callable:
        @functools.wraps(getattr(cls, name))
        def hook(self, *args, **settings):
            trainer = args[0] if isinstance(self, Callback) else self.trainer
            loop, under = trainer.fit_loop.epoch_loop, trainer.lightning_module._current_fx_name
            bar = trainer.is_last_batch, loop._should_check_val_epoch()  # what Lightning's progress bar goes by
            counts = loop.batch_progress, loop.scheduler_progress, loop.automatic_optimization.optim_progress
            where = str((trainer.global_step, under, torch.is_grad_enabled(), *bar, *counts))
            heard.append((cls.__name__, name, where, readable(args), readable(settings)))
            return getattr(cls, name)(self, *args, **settings)

        return hook

    hooks = [name for name in dir(cls) if name.startswith("on_") or name in names]
    skip = STEERING if issubclass(cls, LightningModule) else ()  # by these a run is no longer plain
    return type(cls.__name__, (cls,), {name: told(name) for name in hooks if name not in skip})


class Model(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.2), nn.ReLU(), nn.Linear(6, 3))

    def loss(self, batch):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.loss(batch))

    def configure_optimizers(self):
        return Adam(self.parameters(), lr=0.01)


def own(**attributes: Any) -> type[Model]:
    return type("Own", (Model,), attributes)


def scheduled(scheduler: Callable, fused: bool = False, **settings: Any) -> type[Model]:
    def configure_optimizers(self):
        optimizer = Adam(self.parameters(), lr=0.01, fused=fused)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler(optimizer), **settings}}

    return own(configure_optimizers=configure_optimizers)


class OwnSteps(Model):
    def optimizer_zero_grad(self, epoch, batch_idx, optimizer):
        optimizer.zero_grad(set_to_none=False)

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
        self.clip_gradients(optimizer, gradient_clip_val=0.05, gradient_clip_algorithm="value")

    def backward(self, loss):
        loss *= 2  # `on_train_batch_end` is given the loss before this
        loss.backward()


class Moves(Model):
    def on_before_batch_transfer(self, batch, dataloader_idx):
        return [batch[0] * 2, batch[1]]

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return [part.to(device) for part in batch]

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return [batch[0] + torch.rand(()), batch[1]]


class Logs(Model):
    """Logs wherever Lightning lets it, under one name in training and validation, and not in every batch."""

    def say(self, name: str) -> None:
        if self.trainer.fit_loop.batch_idx % 3 == 0:
            self.log(name, torch.rand(()), on_step=True, on_epoch=True)

    def training_step(self, batch, batch_idx):
        self.say("same")
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        self.log("same", self.loss(batch))
        self.log("val/loss", self.loss(batch))

    def on_before_backward(self, loss):
        self.say("before")

    def backward(self, loss):
        self.say("backward")
        loss.backward()

    def on_train_batch_end(self, *_):
        self.say("end")

    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        optimizer.register_step_post_hook(lambda *_: self.say("step"))
        return optimizer


class LogsSteps(Model):
    """Logs scalars of its steps alone, in all ways, and reads them back."""

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("train/loss", loss, sync_dist=True)
        if batch_idx % 3 == 1:
            self.log("seldom", loss.detach().double().reshape(1, 1), on_step=True, on_epoch=False)
        self.log_dict({"half": loss.half(), "number": float(batch_idx)})
        self.log("step", float(self.global_step + 10 * (batch_idx == 2)))
        assert self.trainer.callback_metrics["train/loss"] == loss
        self.log("of the epoch", loss, on_epoch=True)
        self.log("shown", loss, prog_bar=True)
        self.log("hidden", loss, logger=False)
        return loss


class LogsTwice(Model):
    """Logs one name as a tensor and as a number, and others in two hooks, which callbacks read."""

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("turns", loss if batch_idx % 2 else 0.0)
        self.log("later", loss)
        self.log("earlier", loss)
        return loss

    def on_train_batch_start_of_callback(self):
        self.log("earlier", 1.0)

    def on_train_batch_end(self, *_):
        self.log("later", 2.0)
        self.log("seen", self.trainer.callback_metrics["turns"].clone())


class Earlier(Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        module.on_train_batch_start_of_callback()


def logs_scalar(self, batch, batch_idx):
    loss = self.loss(batch)
    self.log("scalar", loss)
    return loss


def with_log_of_its_own(self) -> None:
    self.log = lambda name, value, **settings: LightningModule.log(self, "own/" + name, value, **settings)


def with_python_logger(self) -> None:
    self.log = logging.getLogger("own")


def logs_nothing(self, batch, batch_idx):
    self.log.debug("seen")
    return self.loss(batch)


def otherwise_in_turns(self, batch, batch_idx):
    loss = self.loss(batch)
    self.log("scalar", loss, on_epoch=batch_idx == 1)
    return loss


class RootLoss(Model):
    """Its loss is the square root that its gradient is computed from, and is changed in place."""

    def training_step(self, batch, batch_idx):
        self.kept = self.loss(batch).sqrt()
        return self.kept

    def on_before_backward(self, loss):
        loss *= 2

    def on_train_batch_end(self, *_):
        self.log("kept", self.kept.detach())


class Doubles(Callback):
    def on_before_backward(self, trainer, module, loss):
        loss *= 2


def root_loss(self, batch, batch_idx):
    return self.loss(batch).sqrt()


class Clips(Model):
    def clip_gradients(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
        nn.utils.clip_grad_value_(self.parameters(), 1e-9)


class At(Callback):
    """Does something after the second step."""

    def __init__(self, act: Callable, hook: str = "on_train_batch_end") -> None:
        self.act = act
        setattr(self, hook, self.do)

    def do(self, trainer, module, *_):
        if trainer.global_step == 2:
            self.kept = self.act(trainer, module)


def other_optimizer(trainer, module):
    trainer.optimizers = [SGD(module.parameters(), lr=0.5)]


class LateScheduler(Callback):
    """Its scheduler warns where the optimizer's step is passed by."""

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 2:
            self.scheduler = ExponentialLR(trainer.optimizers[0], 0.5)

    def on_train_epoch_end(self, *_):
        self.scheduler.step()


def no_validation(trainer, module):
    trainer.limit_val_batches = 0


def accumulation(trainer, module):
    trainer.accumulate_grad_batches = 2


def fused(kind: type[Adam] = Adam, unused: bool = False, **settings: Any) -> type[Model]:
    """With two groups, and perhaps one whose parameter gets no gradient."""

    def configure_optimizers(self):
        first, *others = self.parameters()
        groups = [{"params": [first]}, {"params": others, "lr": 0.05}]
        unseen = [{"params": [nn.Parameter(torch.ones(2))]}] if unused else []
        return kind([*groups, *unseen], fused=True, **settings)

    return own(configure_optimizers=configure_optimizers)


def with_own_step(self) -> Adam:
    optimizer = Adam(self.parameters(), fused=True)
    step = optimizer.step
    optimizer.step = lambda closure=None: (torch.rand(()), step(closure))[1]  # type: ignore[method-assign]
    return optimizer


class Hooks(Callback):
    """Hooks into some steps, as the monitor does, before and after the closure is called."""

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        optimizer = trainer.optimizers[0]
        if batch_idx == 1:
            self.hooks = [optimizer.register_step_post_hook(lambda *_: torch.rand(()))]
        elif batch_idx == 2:
            while self.hooks:
                self.hooks.pop().remove()

    def on_before_optimizer_step(self, trainer, module, optimizer):
        if trainer.global_step == 4:
            self.hooks.append(optimizer.register_step_post_hook(lambda *_: torch.rand(())))


class Manual(Model):
    automatic_optimization = False

    def training_step(self, batch, batch_idx):
        self.optimizers().zero_grad()
        self.manual_backward(self.loss(batch))
        self.optimizers().step()


class Data(LightningDataModule):
    def train_dataloader(self):
        return loader()

    def val_dataloader(self):
        return loader(shuffle=False)

    on_after_batch_transfer = Moves.on_after_batch_transfer
    transfer_batch_to_device = Moves.transfer_batch_to_device


class Logging(Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx in (1, 2):
            module.log("start", float(batch_idx), on_step=True, on_epoch=True)


class Raising(Callback):
    def __init__(self, hook: str, error: type[BaseException]) -> None:
        self.error = error
        setattr(self, hook, self.stop)  # is heard though it is the instance's

    def stop(self, trainer, *_):
        if trainer.global_step == 3:
            raise self.error


class Gaps(DataLoader):
    def __iter__(self):
        return (None if i == 2 else batch for i, batch in enumerate(super().__iter__()))


def loader(cls: type[DataLoader] = DataLoader, shuffle: bool = True) -> DataLoader:
    x = torch.linspace(-1, 1, 56).reshape(14, 4)
    return cls(TensorDataset(x, torch.arange(14) % 3), batch_size=4, shuffle=shuffle)


def fitted(
    way: Callable, at: Path, model: type = Model, callbacks=(), train=loader, begun=None, steps=STEPS, **options: Any
):
    """The Trainer after a fit, and all that came of it."""
    heard: list = []
    saves = ModelCheckpoint(at / "saved", save_last=True, save_top_k=-1, every_n_train_steps=None if begun else 3)
    options = {"max_epochs": 2, "accelerator": "cpu", "log_every_n_steps": 1, "logger": CSVLogger(at, "", "")} | options
    listeners = [telling(Callback, heard)(), *(new() for new in callbacks), saves]
    shown = {"enable_progress_bar": False, "enable_model_summary": False}
    trainer = way(Trainer(callbacks=listeners, default_root_dir=at, **shown, **options))
    torch.manual_seed(0)
    Closure.warning_cache.clear()  # or only the first fit is warned
    module = telling(model, heard, steps)()
    source = {"train_dataloaders": train(), "val_dataloaders": loader(shuffle=False)}
    source = {"datamodule": Data()} if train is Data else source
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            trainer.fit(module, **source, ckpt_path=begun, weights_only=False)
        except (RuntimeError, SystemExit, MisconfigurationException) as error:
            heard.append(repr(error))
    files = sorted(path for path in at.rglob("*") if path.is_file())
    found = {
        "heard": heard,
        "warned": [str(warning.message) for warning in warned if warning.category is not FutureWarning],
        "weights": module.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "metrics": [trainer.callback_metrics, trainer.logged_metrics, trainer.progress_bar_metrics],
        "files": {p: torch.load(p, weights_only=False) if p.suffix == ".ckpt" else p.read_text() for p in files},
        "end": [str(trainer.state), trainer.global_step, torch.rand(())],
    }
    shutil.rmtree(at)  # the other fit writes to the same place
    return trainer, readable(found)


CASES: dict[str, dict[str, Any]] = {
    "nothing special": {},
    "clipped by norm": {"gradient_clip_val": 0.1},
    "clipped by value": {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
    "scheduler of steps": {"model": scheduled(lambda o: ExponentialLR(o, 0.9), interval="step", frequency=2)},
    "scheduler of epochs": {"model": scheduled(lambda o: ExponentialLR(o, 0.9))},
    "plateau": {"model": scheduled(lambda o: ReduceLROnPlateau(o, patience=0, threshold=0.5), monitor="val/loss")},
    "early stopping": {"callbacks": [lambda: EarlyStopping("val/loss", min_delta=1, patience=1)], "max_epochs": 9},
    "few batches": {"limit_train_batches": 2},
    "one batch": {"limit_train_batches": 1},
    "validation twice an epoch": {"val_check_interval": 0.5},
    "validation every second epoch": {"check_val_every_n_epoch": 2, "num_sanity_val_steps": 0, "max_epochs": 4},
    "no validation": {"limit_val_batches": 0},
    "few steps": {"max_steps": 6},
    "logged every third step": {"log_every_n_steps": 3},
    "dry run": {"fast_dev_run": 2},
    "a dict": {"model": own(training_step=lambda self, batch, _: {"loss": self.loss(batch), "seen": len(batch)})},
    "sometimes no loss": {"model": own(training_step=lambda self, batch, i: self.loss(batch) if i % 2 else None)},
    "no index": {"model": own(training_step=lambda self, batch: self.loss(batch))},
    "nothing logged": {"model": own(training_step=lambda self, batch, _: self.loss(batch))},
    "a weight is the loss": {"model": own(training_step=lambda self, batch, _: self.net[0].bias[0])},
    "own steps": {"model": OwnSteps},
    "own moves": {"model": Moves},
    "moves of the data": {"train": Data},
    "no batch": {"train": lambda: loader(Gaps)},
    "logs everywhere": {"model": Logs, "callbacks": [Logging], "val_check_interval": 2},
    "logs now and then": {"model": Logs, "callbacks": [Logging], "log_every_n_steps": 3},
    "scalars of steps": {"model": LogsSteps, "log_every_n_steps": 2},
    "scalars of steps without a logger": {"model": LogsSteps, "logger": False},
    "own log": {"model": own(log=lambda self, name, value, **_: LightningModule.log(self, name, 2 * value))},
    "one name logged in two ways": {"model": LogsTwice, "callbacks": [Earlier], "log_every_n_steps": 2},
    "one name with other arguments": {"model": own(training_step=otherwise_in_turns)},
    "logs the epoch": {
        "model": own(training_step=lambda self, batch, i: (self.log("epoch", x := self.loss(batch)), x)[1])
    },
    "own log of scalars": {
        "model": own(
            training_step=logs_scalar, log=lambda self, name, value, **_: LightningModule.log(self, name, -value)
        )
    },
    "own log of the instance": {"model": own(training_step=logs_scalar, on_fit_start=with_log_of_its_own)},
    "log is something else": {
        "model": own(training_step=logs_nothing, on_fit_start=with_python_logger),
        "limit_val_batches": 0,
    },
    "loss changed in place": {"model": RootLoss},
    "loss changed in place by a callback": {"model": own(training_step=root_loss), "callbacks": [Doubles]},
    "hooks of the steps are Lightning's": {"steps": (), "gradient_clip_val": 0.1},
    "own clipping": {"model": Clips, "steps": ()},
    "validation is turned off": {"callbacks": [lambda: At(no_validation)]},
    "another optimizer": {"callbacks": [lambda: At(other_optimizer)]},
    "another optimizer within a batch": {"callbacks": [lambda: At(other_optimizer, "on_train_batch_start")]},
    "fused": {"model": fused()},
    "fused, a scheduler comes late": {"model": fused(), "callbacks": [LateScheduler]},
    "fused with all settings": {"model": fused(AdamW, weight_decay=0.1, betas=(0.5, 0.9), eps=1e-3, maximize=True)},
    "fused and amsgrad": {"model": fused(amsgrad=True)},
    "fused, the rate a tensor": {"model": fused(lr=torch.tensor(0.1))},
    "fused, a parameter without a gradient": {"model": fused(unused=True)},
    "fused with hooks": {"model": fused(), "callbacks": [Hooks]},
    "fused with a scheduler": {"model": scheduled(lambda o: ExponentialLR(o, 0.9), fused=True, interval="step")},
    "fused, the step replaced": {"model": own(configure_optimizers=with_own_step)},
    "several closures": {"model": own(configure_optimizers=lambda self: LBFGS(self.parameters(), 0.1, 3))},
    "no optimizer": {"model": own(configure_optimizers=lambda self: None)},
    "an error before": {"callbacks": [lambda: Raising("on_train_batch_start", RuntimeError)]},
    "an error within": {"callbacks": [lambda: Raising("on_after_backward", RuntimeError)]},
    "an error after": {"callbacks": [lambda: Raising("on_train_batch_end", RuntimeError)]},
    "control and C": {"callbacks": [lambda: Raising("on_before_zero_grad", KeyboardInterrupt)]},
}
OTHERS: dict[str, dict[str, Any]] = {
    "accumulation": {"accumulate_grad_batches": 2},
    "accumulation from a batch on": {"callbacks": [lambda: At(accumulation, "on_train_batch_start")]},
    "accumulation from the end of a batch on": {"callbacks": [lambda: At(accumulation)], "max_epochs": 3},
    "float64": {"precision": "64-true"},
    "mixed precision": {"precision": "bf16-mixed"},
    "profiler": {"profiler": "simple"},
    "manual optimization": {"model": Manual},
    "own optimizer step": {"model": own(optimizer_step=lambda self, e, i, o, closure: o.step(closure=closure))},
    "leaves an epoch": {"model": own(on_train_batch_start=lambda self, batch, i: -1 if i == 2 else None)},
    "wrapped optimizer": {"model": own(configure_optimizers=lambda self: LightningOptimizer(Adam(self.parameters())))},
}


def same(case: dict[str, Any], at: Path) -> Trainer:
    """Compare part by part: pytest need not explain how two long fits differ."""
    _, expected = fitted(lambda trainer: trainer, at, **case)
    trainer, found = fitted(lean, at, **case)
    for one, other in zip(expected["heard"], found["heard"], strict=False):
        assert one == other
    for part in expected:
        assert found[part] == expected[part], part
    return trainer


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_plain_run_differs_in_nothing(case, tmp_path):
    trainer = same(case, tmp_path / "run")
    assert is_plain(trainer)
    assert "_listeners" in vars(trainer.fit_loop.epoch_loop)


@pytest.mark.parametrize("case", OTHERS.values(), ids=OTHERS)
def test_any_other_run_takes_the_way_of_lightning(case, tmp_path):
    trainer = same(case, tmp_path / "run")
    assert not is_plain(trainer)
    assert ("_listeners" in vars(trainer.fit_loop.epoch_loop)) == ("callbacks" in case)


def test_a_copy_made_in_a_training_step_is_a_module_of_its_own():
    copies = []

    class Copies(Model):
        def training_step(self, batch, batch_idx):
            copies.append(copy.deepcopy(self))
            return logs_scalar(self, batch, batch_idx)

    short(lean, model=Copies)
    assert all(twin.log.__self__ is twin for twin in copies)
    assert all(twin._trainer is None for twin in copies)


@pytest.mark.parametrize("steps", [3, 4, 6])
def test_resumed_in_the_middle_and_at_the_end_of_an_epoch(steps, tmp_path):
    begun = bare_trainer(max_steps=steps, num_sanity_val_steps=0, log_every_n_steps=1)
    begun.fit(Model(), loader(), loader(shuffle=False))
    begun.save_checkpoint(tmp_path / "begun.ckpt")
    assert is_plain(same({"begun": tmp_path / "begun.ckpt", "max_epochs": 3}, tmp_path / "run"))


def short(way: Callable, *callbacks: Callback, model: type = Model) -> None:
    trainer = way(bare_trainer(*callbacks, max_epochs=2, limit_val_batches=0, log_every_n_steps=1))
    trainer.fit(model(), loader(), loader(shuffle=False))


@pytest.mark.parametrize("way", [lambda trainer: trainer, resumable, lean], ids=["Lightning", "resumable", "lean"])
def test_a_callback_that_comes_and_goes_is_heard_from_the_next_batch_on(way):
    heard = []

    class Late(Callback):
        def on_before_zero_grad(self, trainer, *_):
            heard.append(trainer.global_step)

    class Brings(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 2:
                trainer.callbacks.append(Late())
            elif trainer.global_step == 6:
                trainer.callbacks.pop()

    short(way, Brings())
    assert heard == [2, 3, 4, 5]


def test_between_epochs_the_loop_speaks_of_the_next():
    seen = []

    class Bar(Callback):
        def on_train_epoch_start(self, trainer, *_):
            seen.append(trainer.fit_loop.epoch_loop._should_check_val_epoch())

    trainer = lean(bare_trainer(Bar(), max_epochs=4, check_val_every_n_epoch=2, log_every_n_steps=1))
    trainer.fit(own(training_step=lambda self, batch: self.loss(batch))(), loader(), loader(shuffle=False))
    assert seen == [False, True, False, True]


def test_who_does_not_listen_is_not_looked_at_in_each_batch():
    looks = []

    class Deaf(Callback):
        @property
        def on_after_backward(self):
            looks.append(1)
            return super().on_after_backward

    short(lean, Deaf())
    assert len(looks) == 2  # at the start of each epoch


def test_an_optimizer_that_does_not_take_the_closure_is_told_of():
    class Idle(SGD):
        def step(self, closure=None):
            """Leave all as it is."""

    with pytest.raises(MisconfigurationException, match="closure hasn't been executed"):
        short(lean, model=own(configure_optimizers=lambda self: Idle(self.parameters())))
