"""Tags, and the blocks of deep networks."""

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import GradientVitals
from gradvitals.loggers.tags import by_block
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
