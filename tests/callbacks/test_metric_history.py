import time

import pytest
import torch
from lightning import Callback, Trainer
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.callbacks.metric_history import MetricHistory
from gradvitals.classifier import Classifier
from gradvitals.results.objective import Objective


def test_best_is_lowest_for_a_loss_and_highest_for_the_rest():
    history = MetricHistory()
    for loss, acc in ((2.0, 0.5), (1.0, 0.7), (float("nan"), 0.6)):
        history.record({"val/loss": torch.tensor(loss), "val/acc": acc})
    assert history.metrics == {"val/loss": {"final": None, "best": 1.0}, "val/acc": {"final": 0.6, "best": 0.7}}


@pytest.mark.parametrize("tag", ["val/mae", "val/perplexity", "val/error"])
def test_best_is_lowest_for_every_kind_of_error(tag):
    history = MetricHistory()
    for value in (3.0, 2.0, 4.0):
        history.record({tag: value})
    assert history.metrics == {tag: {"final": 4.0, "best": 2.0}}


def test_the_objectives_own_mode_wins_over_its_name():
    history = MetricHistory(Objective("val/elbo", "min"))
    for value in (3.0, 2.0, 4.0):
        history.record({"val/elbo": value, "val/acc": value})
    assert [values["best"] for values in history.metrics.values()] == [2.0, 4.0]


class SlowValidation(Callback):
    def on_validation_epoch_start(self, *_):
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("options", "samples"), [({}, 120), ({"limit_train_batches": 2}, 96), ({"overfit_batches": 1}, 48)]
)
def test_the_loop_is_timed_without_validation_and_samples_are_counted(options, samples):
    # Three epochs of 40 rows in batches of 16: 16 + 16 + 8.
    history = MetricHistory()
    data = DataLoader(TensorDataset(torch.randn(40, 4), torch.arange(40) % 3), batch_size=16)
    trainer = Trainer(
        max_epochs=3, accelerator="cpu", logger=False, callbacks=[history, SlowValidation()],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    trainer.fit(Classifier({"_target_": "gradvitals.nets.mlp.MLP"}, 4, 3), data, data)
    assert history.samples == samples
    assert history.seconds > 0.6
    assert history.loop_seconds < history.seconds - 0.6
