"""``train/acc``: the accuracy over all samples of an epoch, each classified by the network of its own step."""

import pytest
import torch
from lightning import Callback, Trainer
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.classifier import Classifier
from gradvitals.loops.lean import lean
from gradvitals.loops.resumable import resumable
from gradvitals.metrics import RunningAccuracy
from tests.loops.test_resumable import Points

ROWS, BATCH = 44, 6  # the last batch has two samples
SILENT = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
MLP = {"_target_": "gradvitals.nets.mlp.MLP", "depth": 1, "width": 8}


class Counted(Classifier):
    """Computes the accuracy of each epoch once more, in the plainest way."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.expected, self.right, self.seen = [], 0, 0

    def training_step(self, batch, batch_idx):
        x, y = batch
        with torch.no_grad():
            self.right += sum(int(row == label) for row, label in zip(self.guesses(x), y, strict=True))
        self.seen += len(y)
        return super().training_step(batch, batch_idx)

    def guesses(self, x):
        outputs = self.net(x)
        return outputs.softmax(1).argmax(1) if outputs.shape[1] > 1 else outputs.squeeze(1).sigmoid().round()

    def on_train_epoch_end(self):
        self.expected.append(self.right / self.seen)
        self.right = self.seen = 0
        super().on_train_epoch_end()


def loader(classes: int = 3, shuffle: bool = True) -> DataLoader:
    x = torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(0))
    y = x[:, 0] if classes == 1 else (x[:, :classes].argmax(1) if classes > 2 else (x[:, 0] > 0).long())
    return DataLoader(TensorDataset(x, y), BATCH, shuffle=shuffle)


def module(task: str = "multiclass", **settings) -> Counted:
    torch.manual_seed(0)
    classes = {"multiclass": 3, "binary": 2, "regression": 1}[task]
    return Counted(MLP, 4, classes, task, optimizer={"_target_": "torch.optim.Adam", "lr": 0.02}, **settings)


def fit(model: Counted, *callbacks: Callback, loops=lean, ckpt_path=None, **options) -> list[tuple[int, float]]:
    """Returns the points of ``train/acc``."""
    classes = {"multiclass": 3, "binary": 2, "regression": 1}[model.hparams["task"]]
    logger = Points()
    trainer = Trainer(
        **{"accelerator": "cpu", "devices": 1, "max_epochs": 3, "logger": logger} | SILENT | options,
        callbacks=list(callbacks),
    )
    loops(trainer).fit(model, loader(classes), loader(classes, shuffle=False), ckpt_path=ckpt_path, weights_only=True)
    return [(step, value) for step, tag, value in logger.points if tag == "train/acc"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loops": resumable},
        {"accumulate_grad_batches": 3},
        {"precision": "bf16-mixed"},
        {"limit_train_batches": 2},
        {"max_steps": 12, "max_epochs": -1},  # ends inside an epoch
    ],
    ids=lambda options: ", ".join(options) or "plain",
)
@pytest.mark.parametrize("task", ["multiclass", "binary"])
def test_it_is_the_accuracy_over_the_samples_of_an_epoch(task, options):
    model = module(task, class_weight=[1.0, 5.0, 2.0][: 3 if task == "multiclass" else 2])
    points = fit(model, **options)
    assert len(points) == len(model.expected) > 1
    assert [value for _, value in points] == pytest.approx(model.expected)
    assert len(set(model.expected)) > 1


@pytest.mark.parametrize(("task", "metrics"), [("regression", None), ("multiclass", ["f1"])])
def test_nothing_is_logged_where_the_accuracy_is_no_metric(task, metrics):
    assert fit(module(task, metrics=metrics)) == []


def test_labels_that_are_mixed_are_trained_on_and_not_counted():
    class Mixed(Classifier):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            if not self.trainer.training:
                return batch
            return batch[0], torch.nn.functional.one_hot(batch[1], 3).float()

    trainer = Trainer(accelerator="cpu", max_epochs=1, logger=False, **SILENT)
    trainer.fit(Mixed(MLP, 4, 3), loader(), loader(shuffle=False))
    assert "train/acc" not in trainer.callback_metrics


class Saves(Callback):
    def __init__(self, folder):
        self.folder = folder

    def at_rest(self, trainer, moment):
        trainer.save_checkpoint(self.folder / f"{trainer.global_step:02}-{moment}.ckpt", weights_only=False)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_fit_that_resumes_inside_an_epoch_logs_the_same_numbers(accumulate, tmp_path):
    whole = fit(module(), Saves(tmp_path), accumulate_grad_batches=accumulate)
    saved = sorted(tmp_path.glob("*.ckpt"))
    assert len(saved) > 6
    for path in saved:
        steps = torch.load(path, weights_only=True)["global_step"]
        resumed = fit(module(), ckpt_path=path, accumulate_grad_batches=accumulate)
        assert resumed == [point for point in whole if point[0] >= steps], path.stem


def test_an_epoch_that_was_interrupted_is_not_counted_in_the_next_fit():
    class Ends(Callback):
        def on_train_batch_end(self, trainer, *_):
            raise KeyboardInterrupt

    model = module()
    with pytest.raises(SystemExit):
        fit(model, Ends())
    model.right = model.seen = 0
    assert [value for _, value in fit(model)] == pytest.approx(model.expected)


def test_a_batch_that_is_evaluated_twice_counts_once_and_many_are_counted_together():
    accuracy, targets = RunningAccuracy(), torch.tensor([0, 1])
    for batch_idx in range(3 * RunningAccuracy.BATCHES):
        for _ in range(2):
            accuracy.add(batch_idx, torch.tensor([0, batch_idx % 2]), targets)
    assert (int(accuracy.right), accuracy.samples) == (9 * RunningAccuracy.BATCHES // 2, 6 * RunningAccuracy.BATCHES)
