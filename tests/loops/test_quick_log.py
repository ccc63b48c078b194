"""Results of ``self.log`` that are moved to a device only where they are on another one."""

import copy
import pickle

import pytest
import torch
from lightning.pytorch.trainer.connectors.logger_connector import result
from torchmetrics import MeanMetric

from gradvitals.loops.quick_log import QuickResults


def logged(results):
    """Two batches of 2 and 6 samples with losses 1 and 3, and a metric of 0.5."""
    metric = MeanMetric()
    metric.update(0.5)
    for loss, samples in ((1.0, 2), (3.0, 6)):
        results.log("validation_step", "loss", torch.tensor(loss), batch_size=samples)
        results.log("validation_step", "metric", metric, batch_size=samples)
    return results


def test_results_that_are_not_moved_are_lightnings(monkeypatch):
    theirs = logged(result._ResultCollection(training=False))
    monkeypatch.setattr(result, "move_data_to_device", None)  # calling it is an error
    ours = logged(QuickResults(training=False))
    assert ours["validation_step.loss"].compute() == theirs["validation_step.loss"].compute() == (2 * 1 + 6 * 3) / 8
    assert ours.metrics(on_step=False) == theirs.metrics(on_step=False)
    ours.reset()
    assert not ours.metrics(on_step=False)["log"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda results: pickle.loads(pickle.dumps(results))])
def test_a_copy_keeps_to_itself(copied):
    results = QuickResults(training=False)
    results.log("validation_step", "loss", torch.tensor(1.0), batch_size=1)
    other = copied(results)
    other.log("validation_step", "loss", torch.tensor(3.0), batch_size=1)
    assert results["validation_step.loss"].compute() == 1.0
    assert other["validation_step.loss"].compute() == 2.0
    other["validation_step.loss"].to(torch.device("meta"))
    assert [r["validation_step.loss"].value.device.type for r in (results, other)] == ["cpu", "meta"]


def test_a_result_follows_its_values_to_another_device():
    results = QuickResults(training=False)
    for device in ("cpu", "meta"):
        results.log("validation_step", "loss", torch.tensor(1.0, device=device), batch_size=1)
        kept = results["validation_step.loss"]
        assert kept.value.device.type == kept.cumulated_batch_size.device.type == device
