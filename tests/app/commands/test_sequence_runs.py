"""Whole runs on sequences: every step's class, lengths of their own, the loss without memory."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn.utils.rnn import pad_packed_sequence

from gradvitals.app.commands.export import export
from gradvitals.app.run.assemble import assemble
from gradvitals.classifier import Classifier
from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.data.tensors import TensorDataModule
from gradvitals.errors import ConfigError
from gradvitals.nets.recurrent import Recurrent
from tests.conftest import composed

QUIET = ("logger=none", "report=false", "trainer.max_epochs=2")
SMALL = ("data.num_samples=200", "data.length=10", "data.batch_size=50", "model.width=8")


class Ragged(TensorDataModule):
    """Sequences of 1 to 6 steps, of class 1 where their first number is positive; padding is not a number."""

    def load(self) -> Splits:
        generator = torch.Generator().manual_seed(0)
        lengths = torch.randint(1, 7, (120,), generator=generator)
        x = torch.randn(120, 6, 2, generator=generator)
        x[torch.arange(6) >= lengths.unsqueeze(1)] = math.nan
        split = Split(x, (x[:, 0, 0] > 0).long(), lengths)
        return Splits(split[:80], split[80:100], split[100:], "binary", 2)


@pytest.fixture
def ragged(monkeypatch) -> tuple[str, ...]:
    monkeypatch.setenv("GRADVITALS_ALLOW", "tests")
    others = (f"~data.{key}" for key in ("num_samples", "num_features", "seed"))
    return ("data=noise", f"data._target_={__name__}.Ragged", *others, "data.batch_size=16", "model.width=8")


def result(run_dir: Path) -> dict:
    return json.loads((run_dir / "result.json").read_text())


def test_the_loss_without_memory_is_in_the_result_and_bounds_chance(tmp_path, train_here):
    found = result(train_here("model=gru", "data=adding", *SMALL, *QUIET))
    assert found["baseline"] == pytest.approx(1 / 6)
    assert found["metrics"]["val/r2"]["final"] < 1
    copying = ("model=gru", "data=copy", "model.readout=each", *SMALL)
    found = result(train_here(*copying, *QUIET, run_dir=tmp_path / "copy"))
    assert found["baseline"] == pytest.approx(10 * math.log(8) / 30)
    assert 0 < found["metrics"]["test/acc"]["final"] < 1  # over all steps of all sequences
    run = assemble(composed(*copying, run_dir=str(tmp_path / "assembled")))
    # A constant output gives a blank 2/3 and a symbol 1/24: more loss than without memory.
    assert run.chance == run.monitor.settings.chance == run.baseline == found["baseline"]
    other = assemble(composed(*copying, "loss=mse", run_dir=str(tmp_path / "other")))
    assert other.baseline is None  # it is that of the cross-entropy
    assert result(train_here("model=gru", "data=sequential_digits", *QUIET, run_dir=tmp_path / "d"))["baseline"] is None


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_sequences_of_different_lengths_are_trained_and_tested(model, ragged, train_here):
    run_dir = train_here(f"model={model}", *ragged, *QUIET, "model.readout=mean", "optimizer.lr=0.03", "test=last")
    found = result(run_dir)
    assert found["status"] == "completed"
    assert found["non_finite"] is None  # no padding came in
    loaded = Classifier.load_from_checkpoint(run_dir / "checkpoints" / "last.ckpt").eval()
    test = Ragged().loaded.test
    one_by_one = [loaded(test.x[row : row + 1, : test.lengths[row]]) for row in range(len(test))]
    right = (torch.cat(one_by_one).squeeze(1) > 0) == test.y
    assert found["metrics"]["test/acc"]["final"] == pytest.approx(right.double().mean().item())


@pytest.mark.parametrize("typed", [(), ("trainer.precision=64-true",), ("trainer.precision=bf16-mixed",)])
def test_in_each_precision_packed_sequences_arrive(typed, ragged, train_here):
    found = result(train_here("model=gru", *ragged, *QUIET, *typed))
    assert math.isfinite(found["metrics"]["val/loss"]["final"])


def test_packed_sequences_are_what_the_network_receives(ragged, tmp_path):
    run = assemble(composed("model=gru", *ragged, run_dir=str(tmp_path)))
    x, y = next(iter(run.data.train_dataloader()))
    padded, lengths = pad_packed_sequence(x, batch_first=True)
    assert (padded.shape, len(y), lengths.max().item()) == ((16, 6, 2), 16, 6)
    assert padded.isfinite().all()
    assert run.model.hparams["in_shape"] == [6, 2]


def test_what_does_not_fit_together_is_refused(ragged, tmp_path):
    def refused(*typed):
        with pytest.raises((ConfigError, ValueError)) as error:
            assemble(composed(*typed, run_dir=str(tmp_path)))
        return str(error.value)

    assert "expected a recurrent network for sequences of different lengths" in refused(*ragged)
    assert "expected a recurrent network for data with a target for each step" in refused("model=plain", "data=copy")
    assert "model.readout: expected auto or each" in refused("model=lstm", "data=copy", "model.readout=last")
    assert "model.readout: expected auto, last or mean" in refused("model=lstm", "data=adding", "model.readout=each")
    assert "Set data=sequential_digits" in refused("model=lstm", "data=digits")
    huge = ("model=lstm", "data=sequential_digits", "model.width=1000000")
    assert "model.width and model.depth: expected weights and gradients within" in refused(*huge)


def test_a_plain_cell_has_tanh_unless_another_is_typed(tmp_path):
    def nonlinearity(*typed):
        run = assemble(composed("model=rnn", "data=sequential_digits", *typed, run_dir=str(tmp_path)))
        assert isinstance(run.model.net, Recurrent)
        return run.model.net.layers[0].nonlinearity

    assert [nonlinearity(), nonlinearity("act=relu"), nonlinearity("act=tanh")] == ["tanh", "relu", "tanh"]


def test_a_run_on_sequences_resumes_exports_and_starts_others(tmp_path, train_here):
    typed = ("model=lstm", "data=sequential_digits", "model.width=8", *QUIET)
    whole = train_here(*typed, run_dir=tmp_path / "whole")
    half = train_here(*typed, "trainer.max_epochs=1", run_dir=tmp_path / "half")
    ckpt = half / "checkpoints" / "last.ckpt"
    resumed = train_here(*typed, f"ckpt_path='{ckpt}'", run_dir=tmp_path / "resumed")
    metrics = [result(run_dir)["metrics"]["val/loss"]["final"] for run_dir in (whole, resumed)]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-6)
    started = train_here(*typed, f"weights='{export(whole)}'", "train=false", run_dir=tmp_path / "started")
    tested = [result(run_dir)["metrics"]["test/acc"]["final"] for run_dir in (whole, started)]
    assert tested[0] == tested[1]
