"""A fit that goes on from a checkpoint, from every one that it takes, beside the same fit without an interruption."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers.logger import DummyLogger
from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from gradvitals.loops.lean import lean
from gradvitals.loops.resumable import LeaveValidation, logged_steps, resumable


class Noisy(Dataset):
    """Samples that draw from every generator each time they are fetched, as augmentations do."""

    def __len__(self) -> int:
        return 22

    def __getitem__(self, row):
        x = torch.full((4,), float(row)) + random.random() + float(np.random.rand()) + torch.rand(4)
        return x / 20, row % 3


class Still(Noisy):
    """The same ones each time."""

    def __getitem__(self, row):
        return torch.arange(4.0) * (row - 11) / 20, row % 3


class Stream(IterableDataset):
    def __iter__(self):
        return (Still()[row] for row in range(22))


class Model(LightningModule):
    """Dropout, moving statistics, and draws in validation and at the beginning of every epoch and fit."""

    schedule: Any = None

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.ReLU(), nn.Linear(6, 3)
        self.net = nn.Sequential(*layers)

    def loss(self, batch):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def on_train_start(self):
        torch.rand(3)

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.loss(batch) + torch.rand(()))

    def configure_optimizers(self):
        optimizer = Adam(self.parameters(), lr=0.05)
        return {"optimizer": optimizer} | (self.schedule(optimizer) if self.schedule else {})


class Manual(Model):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        optimizer.step()


def scheduled(make, **settings) -> type[Model]:
    def schedule(self, optimizer):
        return {"lr_scheduler": {"scheduler": make(optimizer), **settings}}

    return type("Scheduled", (Model,), {"schedule": schedule})


class Points(DummyLogger):
    """Keeps what is logged, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[tuple[int, str, float]] = []

    def log_metrics(self, metrics, step=None):
        self.points += [(step, tag, value) for tag, value in metrics.items()]


class SavesAlways(Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def at_rest(self, trainer, moment):
        trainer.save_checkpoint(self.folder / f"{trainer.global_step:02}-{moment}.ckpt", weights_only=False)


class LeavesValidation(SavesAlways):
    """Leaves the ``number``-th batch of validation, saves and ends."""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder)
        self.left = number

    def on_validation_batch_end(self, *_):
        self.left -= 1
        if self.left == 0:
            raise LeaveValidation

    def at_rest(self, trainer, moment):
        if moment == "validation":
            super().at_rest(trainer, moment)
            raise SystemExit


def fit(kind: type[Model], settings: dict[str, Any], *callbacks: Callback, seed: int = 0, ckpt_path=None):
    """Weights, optimizer, random draw and logged points at the end of a fit."""
    settings = {"max_epochs": 3, "log_every_n_steps": 1} | settings
    callbacks = [*callbacks, *(make() for make in settings.pop("own", []))]
    loader = settings.pop("loader", None) or (lambda: DataLoader(Noisy(), 4, shuffle=True))
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    model, logger = kind(), Points()
    loops = settings.pop("loops", lean)
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 2}
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        logger=logger,
        callbacks=callbacks,
        enable_checkpointing=False,
        **silent,
        **settings,
    )
    try:
        loops(trainer).fit(model, loader(), DataLoader(Noisy(), 8), ckpt_path=ckpt_path, weights_only=True)
    except SystemExit:
        return None
    weights = [parameter.tolist() for parameter in [*model.parameters(), *model.buffers()]]
    state = trainer.optimizers[0].state_dict()["state"]
    moments = [float(value.sum()) for of_one in state.values() for value in of_one.values()]
    draws = float(torch.rand(())), random.random(), float(np.random.rand())
    return weights, moments, draws, trainer.current_epoch, trainer.global_step, logger.points


CASES: dict[str, tuple[type[Model], dict[str, Any]]] = {
    "plain": (Model, {}),
    "not lean": (Model, {"loops": resumable}),
    "accumulating": (Model, {"accumulate_grad_batches": 4}),
    "validating inside": (Model, {"val_check_interval": 2}),
    "validating across epochs": (Model, {"val_check_interval": 4, "check_val_every_n_epoch": None}),
    "validating now and then": (Model, {"check_val_every_n_epoch": 2}),
    "clipping": (Model, {"gradient_clip_val": 0.1}),
    "steps": (Model, {"max_steps": 15, "max_epochs": None}),
    "fewer batches": (Model, {"limit_train_batches": 4}),
    "overfitting": (Model, {"overfit_batches": 2}),
    "one cycle": (scheduled(lambda o: OneCycleLR(o, 0.1, total_steps=18), interval="step"), {}),
    "cosine": (scheduled(lambda o: CosineAnnealingLR(o, 3)), {}),
    "plateau": (scheduled(lambda o: ReduceLROnPlateau(o, patience=0, factor=0.5), monitor="val/loss"), {}),
    "plateau by steps": (
        scheduled(lambda o: ReduceLROnPlateau(o, patience=0), monitor="val/loss", interval="step", strict=False),
        {"val_check_interval": 2},
    ),
    "early stopping": (Model, {"max_epochs": 9, "own": [lambda: EarlyStopping("val/loss", patience=1)]}),
    "stopping inside": (
        Model,
        {"max_epochs": 9, "val_check_interval": 2, "own": [lambda: EarlyStopping("val/loss", patience=1)]},
    ),
    "manual": (Manual, {}),
    "stream": (Model, {"loader": lambda: DataLoader(Stream(), 4)}),
    "workers": (Model, {"loader": lambda: DataLoader(Noisy(), 4, shuffle=True, num_workers=1)}),
    "lasting workers": (
        Model,
        {"loader": lambda: DataLoader(Still(), 4, shuffle=True, num_workers=1, persistent_workers=True)},
    ),
}


@pytest.mark.filterwarnings("ignore:.*(requested to overfit|which is not available but strict).*")
@pytest.mark.parametrize("name", CASES)
def test_from_every_rest(name, tmp_path):
    kind, settings = CASES[name]
    whole = fit(kind, settings, SavesAlways(tmp_path))
    assert fit(kind, settings) == whole, "saving changes something"
    saved = sorted(tmp_path.glob("*.ckpt"))
    assert {path.stem.partition("-")[2] for path in saved} >= {"batch", "epoch", "end"}
    for path in saved:
        *numbers, points = fit(kind, settings, seed=7, ckpt_path=path)
        begin = logged_steps(torch.load(path, weights_only=True))
        assert numbers == list(whole[:-1]), path.stem
        assert points == [point for point in whole[-1] if point[0] >= begin], path.stem


@pytest.mark.parametrize(
    "name", ["plain", "not lean", "validating inside", "validating across epochs", "plateau", "steps"]
)
def test_from_a_validation_that_was_left(name, tmp_path):
    kind, settings = CASES[name]
    whole = fit(kind, settings)
    for number in range(3, 9):  # two are of the sanity check
        assert fit(kind, settings, LeavesValidation(tmp_path, number)) is None
    saved = sorted(tmp_path.glob("*.ckpt"))
    assert saved
    for path in saved:
        *numbers, points = fit(kind, settings, seed=7, ckpt_path=path)
        assert numbers == list(whole[:-1]), path.stem
        left = int(path.stem[:2]) - 1  # the step whose validation is repeated
        begin = [point[:2] for point in whole[-1]].index((left, "val/loss"))
        assert points == whole[-1][begin:], path.stem


def test_fewer_data_than_before(tmp_path):
    fit(Model, {}, SavesAlways(tmp_path))
    fewer = {"loader": lambda: DataLoader(Subset(Noisy(), range(12)), 4, shuffle=True)}
    with pytest.raises(ValueError, match="after 5 batches of an epoch, and now an epoch has fewer"):
        fit(Model, fewer, ckpt_path=tmp_path / "05-batch.ckpt")


class Rows(Callback):
    """The samples of :class:`Still` that were trained on."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.rows += [round(x[1].item() * 20 + 11) for x in batch[0]]


@pytest.mark.parametrize(("size", "first"), [(2, 12), (6, 12), (8, 8)])
def test_with_batches_of_another_size_it_goes_on_after_as_many_samples(size, first, tmp_path):
    """As more or fewer processes make them: 12 of 22 samples were seen, in three batches of four. None is left out."""
    fit(Model, {"loader": lambda: DataLoader(Still(), 4)}, SavesAlways(tmp_path))
    seen, settings = Rows(), {"max_epochs": 1, "loader": lambda: DataLoader(Still(), size)}
    fit(Model, settings, seen, ckpt_path=tmp_path / "03-batch.ckpt")
    assert seen.rows == list(range(first, 22))
