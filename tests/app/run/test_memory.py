"""What does not fit into memory is refused before it is allocated."""

import pytest
import torch

from gradvitals.app.run.assemble import assemble
from gradvitals.errors import ConfigError
from tests.conftest import composed


@pytest.mark.parametrize(
    "typed", [["model.width=1000000"], ["model.hidden=[8,900000,900000]"], ["model.width=500000", "model.skip=concat"]]
)
def test_a_network(typed, tmp_path):
    with pytest.raises(ConfigError, match=r"model.width and model.depth: expected weights and gradients within .* GB"):
        assemble(composed(*typed, run_dir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_data(tmp_path):
    typed = ["data=noise", "data.num_samples=1000000000", "data.num_features=100000"]
    with pytest.raises(ConfigError, match="data.num_samples and data.num_features: expected data within"):
        assemble(composed(*typed, run_dir=str(tmp_path)))


def test_counting_draws_no_numbers(tmp_path):
    """The weights are those of the seed, whether or not the network was counted."""
    from gradvitals.classifier import Classifier

    config = composed(run_dir=str(tmp_path))
    torch.manual_seed(3)
    counted = assemble(config).model.net.head.weight
    torch.manual_seed(3)
    groups = {group: config[group] for group in ("act", "init", "optimizer", "scheduler", "clip")}
    alone = Classifier(config["model"], in_features=64, num_classes=10, **groups).net.head.weight
    assert torch.equal(counted, alone)
