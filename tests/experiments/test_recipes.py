"""The founding recipes give the outcomes of their originals: those that take seconds, medians of five seeds."""

import json
import os
from collections.abc import Iterable
from statistics import mean, median

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gradvitals.app.commands.preflight import look
from gradvitals.app.run.environment import prepare
from gradvitals.checkpoints.locate import locate
from gradvitals.classifier import Classifier
from tests.conftest import composed
from tests.experiments.conftest import BARE, RECIPES

SEEDS = range(5)


@pytest.mark.parametrize("name", ["iris_sigmoid", "iris_leaky"])
def test_iris(outcome, name):
    runs = [outcome(name, f"seed={seed}", *BARE) for seed in SEEDS]
    low, high = RECIPES[name]["first_over_last_at_start"]["median_of_five"]
    assert low <= median(run.first_over_last for run in runs) <= high
    accuracy = median(run.final("test/acc") for run in runs)
    bounds = RECIPES[name]["accuracy"]
    assert bounds.get("median_of_five_at_least", 0) <= accuracy <= bounds.get("median_of_five_at_most", 1)


@pytest.mark.parametrize("name", ["water_plain", "water_bn"])
def test_the_water_table_is_learnt_beyond_its_majority(outcome, name, data_root):
    runs = [outcome(name, f"seed={seed}", "callbacks.picture=null", "logger=none") for seed in SEEDS]
    assert median(run.final("test/acc") for run in runs) > RECIPES[name]["majority_class"]


def test_the_water_net_is_drawn_as_the_notebook_draws_it(data_root):
    # kaiming_uniform_ on all three weights: U(+-sqrt(6 / fan_in)), the last, of gain 1, U(+-sqrt(3 / fan_in)).
    config = composed("experiment=water_plain")
    net = Classifier(config["model"], 9, 2, "binary", act=config["act"], init=config["init"]).net
    shapes = [(16, 9), (8, 16), (1, 8)]
    layers = [layer.linear for layer in net.layers] + [net.head]
    for layer, shape, numerator in zip(layers, shapes, (6, 6, 3), strict=True):
        assert tuple(layer.weight.shape) == shape
        limit = (numerator / shape[1]) ** 0.5
        assert 0.6 * limit < layer.weight.abs().max() <= limit
        assert layer.bias.abs().max() > 0  # left as torch draws it


PICTURES = ("vanishing", "exploding", "healthy")  # named by their verdicts


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_of_the_slides(outcome, caplog, name):
    caplog.set_level("INFO")
    run = outcome(name, "trainer.max_epochs=2")
    png = (run.run_dir / "gradient_by_layer.png").read_bytes()
    events = EventAccumulator(str(run.run_dir), size_guidance={"images": 0})
    events.Reload()
    image = events.Images("vitals/gradient_by_layer")[-1]
    assert image.encoded_image_string == png
    assert image.step == 80
    deltas = run.start("activation_grad_norm")
    gain = run.vitals["gain_per_layer"]
    assert gain == pytest.approx((deltas[0] / deltas[-1]) ** (1 / 20))
    assert f"profile      {'even' if name == 'healthy' else name}: at step 0" in caplog.text
    # Sigmoid under Glorot loses a factor 4.2 per layer (chi = 0.0557), its cure keeps the size.
    low, high = {"vanishing": (0.22, 0.26), "exploding": (1.3, 1.5), "healthy": (0.98, 1.05)}[name]
    assert low < gain < high


def test_the_three_pictures_share_their_axes():
    limits = {tuple(composed(f"experiment={name}")["callbacks"]["picture"]["limits"]) for name in PICTURES}
    assert len(limits) == 1


def test_only_the_healthy_net_learns(outcome):
    accuracy = {name: outcome(name, "trainer.max_epochs=10", *BARE).final("test/acc") for name in PICTURES}
    assert accuracy["vanishing"] < 0.15
    assert accuracy["exploding"] < 0.4
    assert accuracy["healthy"] > 0.85


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "prelu", "selu"])
def test_twenty_layers_of_each_activation(outcome, name):
    run = outcome(name, "logger=none")
    assert run.final("test/acc") > 0.88
    assert 0.3 < run.start("activation_grad_norm")[0] / run.start("activation_grad_norm")[-1] < 5
    net = Classifier.load_from_checkpoint(run.run_dir / "checkpoints/last.ckpt").net
    if name == "prelu":
        slopes = torch.cat([layer.act.weight.detach() for layer in net.layers])
        assert len(slopes) == 20
        assert (slopes - 0.25).abs().min() > 1e-4  # each was learnt
    if name == "leaky_relu":
        assert {layer.act.negative_slope for layer in net.layers} == {0.01}


def test_selu_keeps_mean_and_deviation_through_twenty_layers():
    config = composed("experiment=selu")
    net = Classifier(config["model"], 64, 10, act=config["act"], init=config["init"]).net
    x = torch.randn(1000, 64)
    for layer in net.layers:
        x = layer(x)
        assert abs(x.mean()) < 0.2
        assert 0.7 < x.std() < 1.3


def test_he_avg(outcome):
    runs = [outcome("he_avg", f"seed={seed}", *BARE) for seed in SEEDS]
    assert median(run.final("test/acc") for run in runs) > 0.93
    config = composed("experiment=he_avg")
    net = Classifier(config["model"], 64, 10, loss="mse", act=config["act"], init=config["init"]).net
    limit = (3 * 2 / ((64 + 100) / 2)) ** 0.5
    weight = net.layers[0].linear.weight
    assert 0.99 * limit < weight.abs().max() <= limit
    assert weight.var().item() == pytest.approx(2 / 82, rel=0.05)


@pytest.mark.parametrize(("name", "keeps"), [("mse_clip_value", False), ("mse_clip_per_parameter", True)])
def test_clipping_by_norm_keeps_each_tensors_direction_and_by_value_does_not(outcome, name, keeps):
    run = outcome(name, "trainer.max_epochs=1")
    cosine = run.vitals["clip"]["cosine_per_tensor"]["start"]
    assert cosine == pytest.approx(1, abs=1e-6) if keeps else cosine < 0.97
    assert run.vitals["clip"]["cosine"]["start"] < 0.99  # tensors of unlike sizes: together they turn
    assert run.result["clipped_fraction"] > 0
    events = EventAccumulator(str(run.run_dir))
    events.Reload()
    assert events.Scalars("clip/cosine_per_tensor")[0].value == pytest.approx(cosine, rel=1e-6)
    assert events.Scalars("clip/fraction")[-1].value == pytest.approx(run.result["clipped_fraction"])


def input_gradients(name: str, seeds: Iterable[int]) -> list[float]:
    found, settings = [], composed(f"experiment={name}")
    for seed in seeds:  # composing anew would take most of the time
        found.append(
            look(prepare(settings | {"seed": seed, "data": settings["data"] | {"seed": seed}})).input_grad_norm
        )
    return found


def test_the_gradient_at_the_input_of_four_layers():
    names = ("plain4", "residual4", "skip4")
    found = {name: input_gradients(name, range(60)) for name in names}
    for name, norms in found.items():
        band = RECIPES[name]["keras_sixty_seeds"]
        # Two means of sixty draws that scatter by a quarter: 3 standard errors of their difference are 14 %.
        assert mean(norms) == pytest.approx(band["mean"], rel=0.14)
        assert band["p5"] < median(norms) < band["p95"]
        assert sum(band["p5"] <= norm <= band["p95"] for norm in norms) >= 47  # of 60; 54 are expected
    assert mean(found["residual4"]) > mean(found["plain4"])
    assert mean(found["skip4"]) > mean(found["plain4"])


def test_preflight_writes_the_gradient_at_the_input(warm_command, tmp_path):
    done = warm_command("experiment=residual4", script="preflight.py")
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("logs/preflight/runs/*/preflight.json")
    written = json.loads(file.read_text())
    assert written["input_grad_norm"] == pytest.approx(input_gradients("residual4", [0])[0], rel=1e-5)
    assert [layer["index"] for layer in written["layers"]] == [0, 1, 2, 3]


@pytest.mark.parametrize("typed", [["init=lsuv"], ["act=tanh"]])
def test_a_mean_output_is_looked_at_like_any_loss(typed):
    settings = composed("experiment=plain4", *typed)
    found = look(prepare(settings))
    assert found.loss_start == pytest.approx(0, abs=2)
    assert found.profile.label == "healthy"


def test_the_latest_run_of_an_experiment_as_it_stands(tmp_path):
    def finished(name: str, status: str, *overrides: str, age: int = 0) -> None:
        run = tmp_path / "train/runs" / name
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints/last.ckpt").touch()
        os.utime(run / "checkpoints/last.ckpt", (10**9 - age, 10**9 - age))
        (run / "result.json").write_text(json.dumps({"status": status, "overrides": overrides}))

    finished("0", "completed", "experiment=fashion_bn", age=5)
    finished("1", "completed", "experiment=fashion_bn", "data.root=x", "seed=3")
    finished("5", "completed", "experiment=fashion_bn", age=7)
    finished("2", "completed", "experiment=fashion_bn", "data.scaling=raw")
    finished("3", "failed", "experiment=fashion_bn")
    finished("4", "completed", "experiment=fashion_bn_pre")
    assert locate("latest:fashion_bn", str(tmp_path)).parents[1].name == "1"
    with pytest.raises(
        FileNotFoundError, match="expected a completed run of experiment=healthy, without changes, under"
    ):
        locate("latest:healthy", str(tmp_path))
