"""NaN and Inf wherever they may come in: named by place and step, kept from the weights, and never written as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.faults import forked

STEP = 23  # of 40, counted from 0, at which the number comes in
FIT = ["model=bn", "trainer.max_epochs=1", "report=false", "callbacks.picture.enabled=false", "monitor.every_n_steps=5"]


def at_step(do: Callable[[Any, Any], Any]) -> Callable[[], None]:
    """A fault: ``do(module, batch)`` at one training step gives the batch that is trained on."""

    def put_in() -> None:
        from gradvitals.classifier import Classifier

        step = Classifier.training_step

        def spoilt(self: Any, batch: Any, batch_idx: int) -> Any:
            now = self.trainer.fit_loop.epoch_loop.total_batch_idx == STEP
            return step(self, do(self, batch) if now else batch, batch_idx)

        Classifier.training_step = spoilt

    return put_in


def inputs(value: float) -> Callable[[], None]:
    def do(module: Any, batch: Any) -> Any:
        batch[0][3, 2] = value
        return batch

    return at_step(do)


def labels(value: float) -> Callable[[], None]:
    def do(module: Any, batch: Any) -> Any:
        batch[1][3] = value
        return batch

    return at_step(do)


def loss(value: float) -> Callable[[], None]:
    def put_in() -> None:
        from gradvitals.classifier import Classifier

        step = Classifier.training_step

        def spoilt(self: Any, batch: Any, batch_idx: int) -> Any:
            now = self.trainer.fit_loop.epoch_loop.total_batch_idx == STEP
            return step(self, batch, batch_idx) * (value if now else 1.0)

        Classifier.training_step = spoilt

    return put_in


def gradient(value: float) -> Callable[[], None]:
    """Of the second layer's weight; forward all is finite."""

    def do(module: Any, batch: Any) -> Any:
        loop = module.trainer.fit_loop.epoch_loop
        now = lambda g: g * value if loop.total_batch_idx == STEP else g  # noqa: E731
        module.net.layers[1].linear.weight.register_hook(now)
        return batch

    return at_step(do)


def parameter(value: float) -> Callable[[], None]:
    def do(module: Any, batch: Any) -> Any:
        with torch.no_grad():
            module.net.layers[1].linear.weight[0, 0] = value
        return batch

    return at_step(do)


# Fault -> how the place is named by skip and stop, and by warn.
PLACES = {
    (inputs, math.nan): ("the inputs of the batch", "net.layers.0.linear"),
    (inputs, math.inf): ("the inputs of the batch", "net.layers.0.linear"),
    (loss, math.nan): ("the loss, while the outputs are finite", "net.layers.0.linear"),
    (gradient, math.nan): ("the gradient of net.layers.1.linear.weight", "net.layers.1.linear"),
    (gradient, math.inf): ("the gradient of net.layers.1.linear.weight", "net.layers.1.linear"),
    (parameter, math.nan): ("the parameter net.layers.1.linear.weight", "net.layers"),
}


def finite(run: Path) -> bool:
    saved = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    return all(weight.isfinite().all() for weight in saved.values())


def strict(path: Path) -> Any:
    """JSON as the standard has it, without NaN and Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path.name} holds {word}")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.mark.parametrize("mode", ["warn", "skip", "stop"])
def test_numbers_that_are_not_finite(mode, tmp_path, tally):
    for number, ((fault, value), (place, seen)) in enumerate(PLACES.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert forked.run(folder, *FIT, f"monitor.on_non_finite={mode}", fault=fault(value)) == 0, forked.said(folder)
        run = forked.the_run(folder)
        result, vitals = strict(run / "result.json"), strict(run / "vitals.json")
        found = result["non_finite"]
        late = mode == "warn" and fault is gradient  # it shows in the next step's loss
        assert found["step"] == STEP + late, (fault, found)
        assert (place if mode != "warn" else "net.layers.0.linear" if late else seen) in found["where"], (fault, found)
        assert "not finite" in forked.said(folder)
        spoilt = fault is parameter  # by the fault itself: no step can be kept from it
        if mode == "skip":
            assert finite(run) or spoilt
            assert result["skipped_steps"] == 1
            assert (result["status"], vitals["verdict"]) == ("completed", "undecided") or spoilt  # a short run
        if mode == "stop":
            assert finite(run) or spoilt
            assert (result["status"], result["steps"]) == ("diverged", STEP + 1)
    tally(f"NaN and Inf, on_non_finite={mode}", tried=len(PLACES), survived=len(PLACES))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_labels_of_a_regression(value, tmp_path, tally):
    table = tmp_path / "table.csv"
    rows = [f"{i % 7},{i % 5},{(i % 7) / 3}" for i in range(1500)]
    table.write_text("\n".join(["a,b,y", *rows]))
    words = ["data=csv", f"data.path={table}", "data.target=y", "monitor.on_non_finite=skip", *FIT]
    assert forked.run(tmp_path, *words, fault=labels(value)) == 0, forked.said(tmp_path)
    run = forked.the_run(tmp_path)
    assert strict(run / "result.json")["non_finite"] == {"step": STEP, "where": "the labels of the batch"}
    assert finite(run)
    tally("NaN and Inf in labels", tried=1, survived=1)
