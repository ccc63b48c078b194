"""What a terminal shows of the layers when a run begins."""

import pytest
import torch
from torch import nn
from torchmetrics.classification import BinaryAccuracy

from gradvitals.app.run.assemble import assemble
from gradvitals.callbacks.layer_summary import LayerSummary, layer_table
from gradvitals.classifier import Classifier
from tests.conftest import composed


def classifier(**model) -> Classifier:
    return Classifier({"_target_": "gradvitals.nets.mlp.MLP", "width": 8} | model, in_features=4, num_classes=3)


def test_every_layer_of_the_default_network_and_nothing_else():
    lines = layer_table(classifier(depth=2)).splitlines()
    assert [line.split()[:2] for line in lines[1:-1]] == [
        ["net.layers.0.linear", "Linear"],
        ["net.layers.0.act", "ReLU"],
        ["net.layers.1.linear", "Linear"],
        ["net.layers.1.act", "ReLU"],
        ["net.head", "Linear"],
    ]
    assert "8 x 4" in lines[1]
    assert lines[-1] == "139 parameters"  # 8 (4 + 1) + 8 (8 + 1) + 3 (8 + 1)


@pytest.mark.parametrize("block", ["plain", "residual", "rezero"])
def test_a_deep_network_fits_a_terminal(block):
    lines = layer_table(classifier(depth=50, norm="batch", block=block)).splitlines()
    assert len(lines) == 22
    assert max(map(len, lines)) <= 80
    assert sum("more" in line for line in lines) == 1
    assert lines[-2].startswith("net.head")


def test_long_names_keep_their_end():
    net = nn.Linear(3, 2)
    for i in range(9):
        net = nn.ModuleDict({f"a_name_that_is_long_{i}": net})
    line = layer_table(net).splitlines()[1]
    assert len(line) <= 80
    assert line.startswith("...")
    assert "long_0 " in line


def test_frozen_shared_lazy_and_own_parameters():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(5))
            self.frozen = nn.Linear(2, 2).requires_grad_(False)
            self.lazy = nn.LazyLinear(3)
            self.metric, self.loss = BinaryAccuracy(), nn.CrossEntropyLoss()

    lines = [line.split() for line in layer_table(Net()).splitlines()]
    assert lines[1:] == [
        ["(itself)", "Net", "5"],
        ["frozen", "Linear", "2", "x", "2", "6", "frozen"],
        ["lazy", "LazyLinear", "not", "known", "yet"],
        ["11", "parameters,", "of", "which", "6", "are", "frozen"],
    ]


def test_the_app_prints_it_on_a_terminal_alone(tmp_path, monkeypatch):
    def has_summary():
        callbacks = assemble(composed(run_dir=str(tmp_path))).trainer.callbacks
        return any(isinstance(callback, LayerSummary) for callback in callbacks)

    assert not has_summary()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert has_summary()


def test_too_few_rows():
    with pytest.raises(ValueError, match=r"callbacks.summary.max_rows: expected at least 2; got 1"):
        LayerSummary(1)
