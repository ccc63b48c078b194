"""Weights in parts on two processes (gloo) against one process with the whole batch."""

import numpy as np
import pytest
import torch
from torch import nn

from gradvitals.app.run.assemble import assemble
from gradvitals.app.run.build_data import build_data
from gradvitals.classifier import Classifier
from gradvitals.distributed.sharding import shard
from gradvitals.errors import ConfigError
from tests.conftest import composed
from tests.distributed.cases import CLIPS, OPTIMIZERS, STEPS
from tests.distributed.pair import pair
from tests.distributed.plain_loop import gradients
from tests.distributed.small_fit import batches, fit, model, trainer


def distance(found: dict, expected: dict) -> float:
    """Of two sets of arrays, relative, the worst of them; names must be the same."""
    assert found.keys() == expected.keys()
    return max(relative(np.asarray(found[name]), np.asarray(expected[name])) for name in expected)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / (np.linalg.norm(expected) or 1))


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_clipped_gradients(strategy, clip):
    expected = gradients(model().net, batches(STEPS), lr=0.5, clip=clip, val=CLIPS[clip])
    found = pair().found[f"clip {strategy} {clip}"]
    assert max(map(distance, found, expected)) < 1e-5
    free = gradients(model().net, batches(STEPS), lr=0.5)
    assert (distance(expected[-1], free[-1]) > 0.1) == (clip != "none")  # the clipping clips


@pytest.fixture(scope="module")
def straight():
    """Optimizer -> weights of one process that trains through."""
    found = {}
    for name, optimizer in OPTIMIZERS.items():
        module = model(optimizer=optimizer)
        fit(module, trainer("one", 2 * STEPS), STEPS)
        found[name] = {key: value.tolist() for key, value in module.net.state_dict().items()}
    return found


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("source", ["one", "fsdp"])
def test_a_fit_goes_on_with_other_devices(straight, source, strategy, optimizer):
    found = pair().found[f"resumed {source} {strategy} {optimizer}"]
    assert distance(found, straight[optimizer]) < 1e-5


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_fit_in_parts_goes_on_in_one_process(straight, optimizer):
    module = model(optimizer=OPTIMIZERS[optimizer], seed=1)
    fit(module, trainer("one", 2 * STEPS), STEPS, pair().folder / f"fsdp-{optimizer}" / "last.ckpt")
    assert distance(module.net.state_dict(), straight[optimizer]) < 1e-5


@pytest.mark.parametrize("name", ["straight", "resumed"])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_the_training_accuracy_is_that_of_all_samples(strategy, name):
    run = trainer("one", STEPS)
    fit(model(), run, STEPS)
    expected = run.callback_metrics["train/acc"].item()
    assert 0 < expected < 1
    assert pair().found[f"accuracy {strategy} {name}"] == pytest.approx(expected)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_file_is_the_one_that_a_single_process_writes(optimizer):
    parts, one = (
        torch.load(pair().folder / f"{source}-{optimizer}" / "last.ckpt", weights_only=True)
        for source in ("fsdp", "one")
    )
    assert shapes(parts["state_dict"]) == shapes(one["state_dict"])
    assert shapes(parts["optimizer_states"]) == shapes(one["optimizer_states"])
    assert parts.keys() == one.keys()


def shapes(value):
    """What is nested in a state, tensors by their class, type and shape, numbers left out."""
    if isinstance(value, dict):
        return {key: shapes(inner) for key, inner in value.items() if key not in ("fused", "foreach")}
    if isinstance(value, (list, tuple)):
        return [shapes(inner) for inner in value]
    return (type(value), value.dtype, value.shape) if isinstance(value, torch.Tensor) else type(value)


def test_no_file_but_the_checkpoints_is_left():
    for name in OPTIMIZERS:
        assert [path.name for path in (pair().folder / f"fsdp-{name}").iterdir()] == ["last.ckpt"]


def last_weights(run: str) -> dict:
    return torch.load(pair().folder / run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_a_run_goes_on_as_if_it_had_never_ended():
    straight, resumed = last_weights("straight"), last_weights("resumed")
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
    one, two = (pair().found[f"command {run}"]["metrics"] for run in ("straight", "resumed"))
    assert all(two[tag]["final"] == one[tag]["final"] for tag in ("train/loss", "val/loss", "val/acc"))


@pytest.mark.parametrize("part", ["val", "test"])
def test_what_is_evaluated_is_what_is_saved(part):
    """Each process has moving statistics of its own while it trains; those of the checkpoint count."""
    best = Classifier.load_from_checkpoint(pair().folder / "straight" / "checkpoints" / "best.ckpt").eval()
    data = build_data(composed("data=circles")["data"])
    data.setup("test")
    samples = getattr(data.splits, part)
    found = pair().found["command straight"]["metrics"][f"{part}/loss"]["best"]
    assert found == pytest.approx(best.loss(best(samples.x), samples.y).item(), rel=1e-5)


def test_weights_are_loaded_before_they_are_cut():
    before, after = last_weights("half"), last_weights("afresh")
    learnt = [name for name in before if name.endswith(("weight", "bias"))]
    assert all(torch.equal(after[name], before[name]) for name in learnt)
    assert not torch.equal(last_weights("straight")[learnt[0]], before[learnt[0]])


def test_a_scalar_cannot_be_sharded():
    net = nn.Sequential(nn.Linear(2, 1))
    net.register_parameter("scale", nn.Parameter(torch.ones(())))
    with pytest.raises(ValueError, match=r"scale is a scalar. Make it torch.zeros\(1\), or set trainer=ddp"):
        shard(net, None)


def test_a_module_of_ones_own_that_is_not_cut_is_refused(tmp_path, monkeypatch):
    (tmp_path / "ownmodule.py").write_text(
        "from torch import nn\nfrom lightning import LightningModule\n"
        "class Whole(LightningModule):\n    def __init__(self):\n        super().__init__()\n        self.net = nn.Linear(2, 1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADVITALS_ALLOW", "ownmodule")
    typed = ("trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=2", "logger=none", "data=blobs")
    config = composed(*typed, "model._target_=ownmodule.Whole", run_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="trainer=fsdp: expected Whole to have configure_model.*Or set trainer=ddp"):
        assemble(config)
