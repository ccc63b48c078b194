"""The recipes and published results that take minutes: ``make test-slow``."""

import math
from statistics import median

import pytest
import torch

from gradvitals.classifier import Classifier
from gradvitals.results.result import Result
from gradvitals.vitals import count
from tests.experiments.conftest import BARE, PUBLISHED, RECIPES, jobs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("data_root"), pytest.mark.timeout(900)]
SEED = "seed=0"


def net_of(run):
    return Classifier.load_from_checkpoint(run.run_dir / "checkpoints/last.ckpt").net


def test_batchnorm_first_then_clipping_by_value(outcome):
    first = outcome("fashion_bn", SEED)
    counted = count(net_of(first))
    assert (counted.total, counted.statistics) == (
        RECIPES["fashion_bn"]["parameters"],
        RECIPES["fashion_bn"]["statistics"],
    )
    assert sum(first.result["parameters"].values()) == counted.total
    assert first.best("val/acc") >= RECIPES["fashion_bn"]["val_acc"]["at_least"]

    second = outcome("fashion_clip_value", SEED, f"weights={first.run_dir}")
    assert second.best("val/acc") >= RECIPES["fashion_clip_value"]["val_acc"]["at_least"]
    assert second.result["clipped_fraction"] is not None
    # It went on from where the first one stood, with an optimizer that knows nothing of it.
    optimizer = torch.load(second.run_dir / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]
    assert optimizer["param_groups"][0]["lr"] == 0.01
    assert second.start("grad_norm") != first.start("grad_norm")


@pytest.mark.parametrize("name", ["fashion_bn_post", "fashion_bn_pre"])
def test_batchnorm_after_or_before_the_activation(outcome, name):
    run = outcome(name, SEED)
    assert sum(run.result["parameters"].values()) == RECIPES[name]["parameters"]
    assert run.best("val/acc") >= RECIPES[name]["val_acc"]["at_least"]


NO_NORM = ("model.norm=null", "model.norm_eps=null", "model.norm_momentum=null")


def test_batchnorm_on_the_input_makes_scaling_unnecessary(outcome):
    def accuracy(*typed):
        return outcome("fashion_bn", SEED, "trainer.max_epochs=2", *typed, *BARE).best("val/acc")

    with_norm = accuracy() - accuracy("data.scaling=raw")
    without = accuracy(*NO_NORM) - accuracy("data.scaling=raw", *NO_NORM)
    assert abs(with_norm) < 0.01
    assert without > 0.02


def test_he_wins_the_race_of_thirty_layers(outcome):
    bounds = PUBLISHED["train.he30"]["value"]
    reached = {typed: outcome("he_race", SEED, *typed, *BARE) for typed in jobs("he_race")}
    accuracy = {typed[0].removeprefix("init="): run.final("test/acc") for typed, run in reached.items()}
    assert accuracy["he_normal"] >= bounds["he_min"]
    assert accuracy["glorot_normal"] <= bounds["xavier_max"]
    assert accuracy["default"] <= bounds["torch_default_max"]
    # Weight gradients of Glorot's run hardly tell: its activation gradients lose four decades.
    glorot = reached[("init=glorot_normal",)]
    ratio = glorot.start("activation_grad_norm")
    assert math.log10(ratio[0] / ratio[-1]) < -3.5


def test_tanh_trains_to_the_depth_that_theory_says(outcome):
    bounds = PUBLISHED["train.schoen"]["value"]
    accuracy = {typed: outcome("tanh_depth", SEED, *typed, *BARE).final("test/acc") for typed in jobs("tanh_depth")}
    by = {tuple(word.partition("=")[2] for word in typed): value for typed, value in accuracy.items()}
    assert by["1.0", "10"] >= bounds["1.0,L10_min"]
    assert by["1.0", "80"] <= bounds["1.0,L80_max"]
    assert by["1.76", "80"] >= bounds["1.76,L80_min"]
    assert by["4.0", "10"] >= bounds["4.0,L10_min"]
    assert by["4.0", "80"] < by["1.76", "80"]  # beyond 42 layers


def test_batchnorm_has_a_depth_limit(outcome):
    bounds = PUBLISHED["train.bndepth"]["value"]
    runs = {typed[0].partition("=")[2]: outcome("bn_depth", SEED, *typed, *BARE) for typed in jobs("bn_depth")}
    assert runs["10"].final("test/acc") >= bounds["L10_min"]
    assert runs["60"].final("test/acc") <= bounds["L60_max"]
    # pi / (pi - 1) per layer in the square, 1.211 in norm; 1.216 at 128 samples.
    assert runs["60"].vitals["gain_per_layer"] == pytest.approx(1.216, rel=0.03)


def test_a_hundred_layers_of_selu_beat_those_of_relu(command, data_root, tmp_path):
    # A hundred layers amplify the last bit: torch's kernels for AVX-512 give .43 .66 .43, where those for AVX2 give
    # .66 .73 .68. So the kernels are chosen, which torch does as it is imported.
    def best(act, seed):
        typed = (f"act={act}", f"seed={seed}", "hydra.mode=RUN", f"data.root={data_root}", *BARE)
        before = set(tmp_path.glob("logs/train/runs/*"))
        done = command("experiment=selu_100", *typed, ATEN_CPU_CAPABILITY="avx2")
        assert done.returncode == 0, done.stderr
        (run_dir,) = set(tmp_path.glob("logs/train/runs/*")) - before
        return Result.read(run_dir).metrics["val/acc"].best

    entry = PUBLISHED["train.geron.selu"]
    assert jobs("selu_100") == [("act=selu",), ("act=relu",)]
    selu = median(best("selu", seed) for seed in range(3))
    assert selu == pytest.approx(entry["value"], abs=entry["tolerance"]["abs"])
    assert selu > best("relu", 0) + 0.1


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "prelu", "selu"])
def test_twenty_layers_of_each_activation_over_five_seeds(outcome, name):
    runs = [outcome(name, f"seed={seed}", *BARE) for seed in range(5)]
    assert median(run.final("test/acc") for run in runs) > 0.9
