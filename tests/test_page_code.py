"""The Python of the README and of the guides runs, block by block, with the names that a reader would have."""

import pandas
import pytest
import torch
from lightning import LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.conftest import ROOT
from tests.pages import ELSEWHERE, blocks, name

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/guides").glob("*.md"))]
PAGES = [page for page in PAGES if page.stem not in ELSEWHERE and blocks(page, "python")]


class Net(LightningModule):
    """A reader's own."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 5))

    def forward(self, x):
        return self.layers(x)

    def training_step(self, batch):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


@pytest.fixture
def names(tmp_path, train_here, monkeypatch):
    """What pages use without a definition: a model, its data, and RUN_DIR, a run on a table."""
    monkeypatch.chdir(tmp_path)
    frame = pandas.DataFrame({"size": range(60), "weight": [3 * n % 7 for n in range(60)]})
    frame.assign(heavy=["yes" if weight > 3 else "no" for weight in frame["weight"]]).to_csv("table.csv", index=False)
    x = torch.randn(128, 20)
    model = Net()
    return {
        "torch": torch,
        "model": model,
        "loader": DataLoader(TensorDataset(x, x[:, :5].argmax(dim=1)), batch_size=32),
        "criterion": nn.functional.cross_entropy,
        "optimizer": torch.optim.Adam(model.parameters()),
        "frame": frame,
        "train": lambda: train_here(
            "data=csv", "data.path=table.csv", "data.target=heavy", "trainer.max_epochs=1", run_dir=tmp_path / "RUN_DIR"
        ),
    }


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_code_of_a_page_runs(page, names, capsys):
    code = blocks(page, "python")
    if any("RUN_DIR" in block for block in code):
        names["train"]()
    for block in code:
        exec(compile(block, name(page), "exec"), names)
    if page.name == "README.md":
        assert "\nverdict   vanishing at step 50: layer 0 receives" in "\n" + capsys.readouterr().out


def test_every_kind_of_plot_is_in_the_guide():
    from gradvitals.report.pictures.picture_kinds import KINDS

    guide = (ROOT / "docs/guides/notebooks.md").read_text()
    assert [kind for kind in KINDS if f'vitals.plot("{kind}")' not in guide] == []
