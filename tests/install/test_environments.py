"""The wheel in an environment with what it asks for and nothing else: the monitor of a plain loop, and the callback."""

import pytest

PLAIN_LOOP = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
x, y = torch.randn(64, 8), torch.randint(3, (64,))
"""
MONITOR = PLAIN_LOOP + """
from gradvitals.signal_propagation.preflight import preflight as expected
from gradvitals.monitor.monitor import Monitor
import gradvitals

assert gradvitals.preflight is expected
print(gradvitals.preflight(model, (x, y), nn.functional.cross_entropy))
print(gradvitals.diagnose.__name__, Monitor.__name__)
"""
CALLBACK = """
import sys
import torch
from lightning import LightningModule, Trainer, seed_everything
from torch import nn
import gradvitals

class Small(LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

    def training_step(self, batch, index):
        x, y = batch
        return nn.functional.cross_entropy(self.net(x), y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

torch.manual_seed(0)
data = torch.utils.data.TensorDataset(torch.randn(64, 8), torch.randint(3, (64,)))
vitals = gradvitals.GradientVitals()
trainer = Trainer(
    max_epochs=3, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    default_root_dir=".", log_every_n_steps=1, callbacks=[vitals],
)
trainer.fit(Small(), torch.utils.data.DataLoader(data, 16))
print(sorted(vitals.start)[0], vitals.diagnosis.verdict)
"""


def test_the_monitor_of_a_plain_loop_needs_torch_and_numpy(environment, tmp_path):
    done = environment().run(MONITOR, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_callback_needs_lightning_beside_them(environment, tmp_path):
    done = environment("lightning").run(CALLBACK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
