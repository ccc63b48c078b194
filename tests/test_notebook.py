"""A real notebook, run by nbclient: each object shows itself once, and a cell that runs again leaves the same outputs."""

from __future__ import annotations

import re

import nbclient
import nbformat
import pytest

SETUP = """
import warnings
warnings.simplefilter("ignore")  # of other packages, about this machine
import torch, lightning
from torch import nn
import gradvitals

class Net(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=8)
"""
TRAIN = """
torch.manual_seed(0)
gv = gradvitals.GradientVitals(every_n_steps=5)
off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
lightning.Trainer(max_epochs=2, callbacks=[gv], accelerator="cpu", **off).fit(Net(), loader)
gv
"""
PREFLIGHT = "gradvitals.preflight(Net().net, (x, y), nn.functional.cross_entropy)"
PLOT, AX = "gv.plot()", "figure, ax = plt.subplots(); gv.plot('updates', ax=ax);"
# A second figure of the same fit: after pyplot was imported, which gives figures another way to be shown.
SOURCES = [SETUP, TRAIN, TRAIN, PREFLIGHT, PLOT, "import matplotlib.pyplot as plt", PLOT, AX, "len(plt.get_fignums())"]


@pytest.fixture(scope="module")
def cells():
    """The outputs of each cell. One kernel runs them all: to start it and to import torch takes most of the time."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in SOURCES])
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def shown(outputs) -> list[dict]:
    return [output.data for output in outputs if output.output_type in ("execute_result", "display_data")]


def printed(outputs) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.parametrize("place", [1, 3])
def test_the_last_line_shows_itself_once_as_html_and_as_text(cells, place):
    (data,) = shown(cells[place])
    assert set(data) == {"text/html", "text/plain"}
    assert len(data["text/html"]) < 200_000
    assert not re.search(r"<script|<style|<link|http|url\(", data["text/html"])


def test_the_text_is_what_a_terminal_shows(cells):
    (data,) = shown(cells[1])
    assert data["text/plain"].startswith(
        "verdict   undecided: 16 of the 50 steps that a verdict needs\nmeasured  steps 0 "
    )
    assert "net.0" in data["text/plain"]
    assert "data:image/png;base64," in data["text/html"]


def test_a_second_run_of_the_cell_leaves_the_same_outputs_once(cells):
    ours = [[line for line in printed(cells[place]).splitlines() if "gradvitals" in line] for place in (1, 2)]
    assert len(ours[0]) == 1  # the verdict at the end
    assert ours[0] == ours[1]
    assert [each["text/plain"] for each in shown(cells[1])] == [each["text/plain"] for each in shown(cells[2])]
    assert not re.search(r"\r|it/s|\d+%\|", printed(cells[1]) + printed(cells[2]))  # a progress bar


@pytest.mark.parametrize("place", [4, 6])
def test_a_plot_shows_itself_once_with_and_without_pyplot(cells, place):
    (data,) = shown(cells[place])
    assert set(data) == {"image/png", "text/plain"}


def test_axes_of_ones_own_are_shown_once_by_pyplot(cells):
    (data,) = shown(cells[7])
    assert "image/png" in data
    assert shown(cells[8])[0]["text/plain"] == "0"  # pyplot knows no figure of ours
