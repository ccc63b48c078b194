"""When the latest state of a fit is saved."""

from types import SimpleNamespace

import pytest

from gradvitals.callbacks import last_checkpoint
from gradvitals.callbacks.last_checkpoint import LastCheckpoint


class Fit:
    """A fit whose epochs take a number of seconds, of ten steps; the steps at which it saves are written down."""

    def __init__(self, callback: LastCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        self.callback, self.now = callback, 0.0
        self.saved: list[int] = []
        monkeypatch.setattr(last_checkpoint.time, "monotonic", lambda: self.now)
        self.trainer = SimpleNamespace(
            current_epoch=0, global_step=0, world_size=1, log_every_n_steps=10, fast_dev_run=False, loggers=[],
            default_root_dir="", is_global_zero=False, save_checkpoint=self.save,
        )  # fmt: skip

    def save(self, path, weights_only: bool) -> None:
        self.saved.append(self.trainer.global_step)

    def run(self, epochs: int, seconds: float) -> list[int]:
        self.callback.on_train_start(self.trainer, None)
        for _ in range(epochs):
            for _ in range(10):
                self.trainer.global_step += 1
                self.now = self.trainer.global_step * seconds / 10
                self.callback.at_rest(self.trainer, "batch")
            self.trainer.current_epoch += 1
            self.callback.at_rest(self.trainer, "epoch")
        self.callback.at_rest(self.trainer, "end")
        return self.saved


@pytest.mark.parametrize(
    ("settings", "seconds", "saved"),
    [
        ({}, 2, [10, 40, 70, 80]),  # at second 2, then where 5 have gone by: 8, 14; and at the end
        ({}, 5, [10, 20, 30, 40, 50, 60, 70, 80]),
        ({"min_seconds": None}, 2, [10, 20, 30, 40, 50, 60, 70, 80]),
        ({"every_n_epochs": 3}, 2, [30, 60, 80]),
        ({"every_n_epochs": None}, 2, [80]),
        ({"every_n_epochs": None, "every_n_steps": 15}, 2, [15, 30, 45, 60, 75, 80]),
        ({"every_n_minutes": 0.05}, 2, [10, 25, 40, 55, 70, 80]),  # three seconds
    ],
)
def test_steps_at_which_it_saves(settings, seconds, saved, monkeypatch):
    assert Fit(LastCheckpoint(**settings), monkeypatch).run(8, seconds) == saved


def test_a_resumed_fit_saves_its_first_epoch(monkeypatch):
    fit = Fit(LastCheckpoint(), monkeypatch)
    assert fit.run(3, 1) == [10, 30]
    fit.saved.clear()
    assert fit.run(3, 1) == [40, 60]


def test_a_setting_out_of_range():
    with pytest.raises(ValueError, match="callbacks.last.min_seconds: expected a number above 0, or null; got 0"):
        LastCheckpoint(min_seconds=0)
