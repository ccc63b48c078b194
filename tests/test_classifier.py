import itertools
import math

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import LambdaCallback
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.activations import ACTIVATIONS
from gradvitals.classifier import Classifier
from gradvitals.data.tensors import balanced_weights
from gradvitals.losses import loss_function
from gradvitals.nets.init import INITIALIZERS

MLP = "gradvitals.nets.mlp.MLP"
MODELS = {
    "plain": {},
    "bn": {"norm": "batch"},
    "ln": {"norm": "layer"},
    "gn": {"norm": "group"},
    "instance": {"norm": "instance"},
    "rms": {"norm": "rms"},
    "residual": {"block": "residual"},
    "prenorm": {"block": "residual", "norm": "layer", "norm_position": "before_linear"},
    "rezero": {"block": "rezero"},
    "skip": {"skip": "concat"},
}


def classifier(task: str = "multiclass", **options) -> Classifier:
    model = {"_target_": MLP, "depth": 2, "width": 8} | options.pop("model", {})
    classes = {"multiclass": 3, "binary": 2, "regression": 1}[task]
    return Classifier(model, in_features=4, num_classes=classes, task=task, **options)


def batches(task: str = "multiclass", rows: int = 48) -> DataLoader:
    x = torch.randn(rows, 4)
    y = {"multiclass": torch.arange(rows) % 3, "binary": torch.arange(rows) % 2, "regression": x[:, 0] * 2}[task]
    return DataLoader(TensorDataset(x, y), batch_size=16)


def trainer(**options) -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return Trainer(**({"logger": False, "accelerator": "cpu", "max_epochs": 1} | quiet | options))


@pytest.mark.parametrize(("model", "act"), list(itertools.product(MODELS, ACTIVATIONS)))
def test_every_model_with_every_activation_trains_two_steps(model, act):
    module = classifier(model=MODELS[model], act={"name": act})
    optimizer = torch.optim.Adam(module.parameters())
    x, y = torch.randn(16, 4), torch.arange(16) % 3
    for _ in range(2):
        loss = module.loss(module(x), y)
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.isfinite(module.loss(module(x), y))


def test_losses_by_hand():
    zeros, y = torch.zeros(2, 4), torch.tensor([0, 3])
    # Equal logits: log 4. Sigmoid 1/2 against a one-hot target: every entry is off by 1/2.
    assert loss_function("multiclass")(zeros, y).item() == pytest.approx(math.log(4))
    assert loss_function("multiclass", "mse")(zeros, y).item() == pytest.approx(0.25)
    assert loss_function("multiclass", "bce")(zeros, y).item() == pytest.approx(math.log(2))
    assert loss_function("binary")(torch.zeros(2, 1), torch.tensor([0, 1])).item() == pytest.approx(math.log(2))
    assert loss_function("regression")(torch.ones(2, 1), torch.tensor([1.0, 4.0])).item() == pytest.approx(4.5)


def test_a_loss_that_the_task_has_not():
    with pytest.raises(ValueError, match="loss: a binary task has auto, bce, mse, mean; got 'ce'"):
        loss_function("binary", "ce")


def test_binary_accuracy_takes_a_small_positive_logit_for_a_yes():
    # Logits that all lie between 0 and 1 must not be read as probabilities: 0.2 means yes.
    module = classifier("binary")
    module.val_metrics.update(module._predictions(torch.tensor([[0.2], [0.3]])), torch.tensor([1, 1]))
    assert module.val_metrics.compute() == {"acc": 1}


@pytest.mark.parametrize("task", ["multiclass", "binary", "regression"])
def test_a_task_fits_and_logs_its_tags(task):
    module, run = classifier(task), trainer(log_every_n_steps=1)
    run.fit(module, batches(task), batches(task))
    metric = "r2" if task == "regression" else "acc"
    assert {"train/loss", "val/loss", f"val/{metric}"} <= set(run.callback_metrics)
    run.test(module, batches(task), verbose=False)
    assert f"test/{metric}" in run.callback_metrics


def test_a_checkpoint_rebuilds_the_model_alone(tmp_path):
    module = classifier(
        model={"norm": "batch", "hidden": [8, 6]},
        act={"name": "leaky_relu", "negative_slope": 0.2},
        init={"name": "variance_scaling", "scale": 2.0},
        clip={"name": "percentile", "val": 10.0},
        scheduler={"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 1},
    )
    run = trainer()
    run.fit(module, batches(), batches())
    run.save_checkpoint(tmp_path / "a.ckpt")
    torch.load(tmp_path / "a.ckpt", weights_only=True)  # plain values only
    loaded = Classifier.load_from_checkpoint(tmp_path / "a.ckpt")
    x = torch.randn(5, 4)
    torch.testing.assert_close(loaded.eval()(x), module.eval()(x))
    assert loaded.net.layers[0].act.negative_slope == 0.2
    assert loaded.total_norms == module.total_norms != []


@pytest.mark.parametrize(
    "spec",
    [
        {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9},
        {"_target_": "torch.optim.Adam", "lr": 0.1, "fused": "auto"},
        {"_target_": "torch.optim.NAdam", "lr": 0.1},
        {"_target_": "torch.optim.RMSprop", "lr": 0.1},
    ],
)
def test_optimizers_by_spec(spec):
    run = trainer(max_steps=1)
    run.fit(classifier(optimizer=spec), batches(), batches())
    optimizer = run.optimizers[0]
    assert type(optimizer).__name__ == spec["_target_"].rpartition(".")[2]
    assert optimizer.param_groups[0]["lr"] == 0.1
    if "fused" in spec:
        assert optimizer.param_groups[0]["fused"] is True


def test_fused_and_plain_adam_give_the_same_weights():
    def weights(fused):
        torch.manual_seed(0)
        module = classifier(optimizer={"_target_": "torch.optim.Adam", "fused": fused})
        loader = batches()
        trainer(max_epochs=5).fit(module, loader, loader)
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    torch.testing.assert_close(weights(True), weights(False), atol=1e-5, rtol=1e-4)


SCHEDULERS = {
    # Three epochs of three steps from rate 0.1: the rate of the ninth step.
    "cosine": (
        {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "interval": "epoch"},
        0.05 * (1 + math.cos(2 / 3 * math.pi)),
    ),
    "onecycle": ({"_target_": "torch.optim.lr_scheduler.OneCycleLR", "interval": "step"}, 0.1 / 25 / 1e4),
    "step": ({"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 2, "gamma": 0.1}, 0.01),
    "plateau": ({"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "monitor": "val/loss"}, 0.1),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_end_where_they_should(name):
    spec, last = SCHEDULERS[name]
    rates: list[float] = []
    run = trainer(
        max_epochs=3,
        callbacks=[LambdaCallback(on_before_optimizer_step=lambda *a: rates.append(a[2].param_groups[0]["lr"]))],
    )
    module = classifier(optimizer={"_target_": "torch.optim.SGD", "lr": 0.1}, scheduler=spec)
    run.fit(module, batches(), batches())
    assert len(rates) == 9
    assert rates[-1] == pytest.approx(last, rel=1e-3, abs=1e-9)


def step_length(clip: dict, **options) -> dict[str, torch.Tensor]:
    """How far each parameter moved in one step of SGD with rate 1: its clipped gradient."""
    torch.manual_seed(0)
    module = classifier(optimizer={"_target_": "torch.optim.SGD", "lr": 1.0}, clip=clip)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    torch.manual_seed(1)
    trainer(max_steps=1, **options).fit(module, batches(), batches())
    return {name: p.detach() - before[name] for name, p in module.named_parameters()}


def test_clippings_act_where_they_are_asked():
    free = step_length({"name": "none", "val": None})
    each = step_length({"name": "per_parameter", "val": 1e-3})
    assert all(g.norm() == pytest.approx(1e-3, rel=1e-2) for g in each.values())
    unit = step_length({"name": "agc", "val": 1e-3})
    torch.testing.assert_close(unit["net.head.weight"], free["net.head.weight"])  # the output layer is left
    assert unit["net.layers.0.linear.weight"].norm() < 0.1 * free["net.layers.0.linear.weight"].norm()
    whole = step_length({"name": "none"}, gradient_clip_val=1e-3)
    assert torch.cat([g.flatten() for g in whole.values()]).norm() == pytest.approx(1e-3, rel=1e-3)


def test_percentile_clips_to_the_norms_seen_so_far():
    module = classifier(clip={"name": "percentile", "val": 50.0})
    parameter = nn.Parameter(torch.zeros(1))
    for gradient, clipped in ((4.0, 4.0), (8.0, 6.0), (float("nan"), None), (2.0, 2.0)):
        parameter.grad = torch.tensor([gradient])
        module._clip_to_percentile([parameter], 50.0)
        if clipped:
            # Medians of [4], [4, 8], [2, 4, 8]; a norm that is not finite enters no history.
            assert parameter.grad.item() == pytest.approx(clipped, rel=1e-5)
    assert module.total_norms == [2.0, 4.0, 8.0]


def test_wrong_settings_are_told_before_training():
    with pytest.raises(ValueError, match="torch.optim.Adam takes no 'lrr'"):
        classifier(optimizer={"_target_": "torch.optim.Adam", "lrr": 0.1})
    with pytest.raises(ValueError, match="torch.optim.lr_scheduler.StepLR takes no 'size'"):
        classifier(scheduler={"_target_": "torch.optim.lr_scheduler.StepLR", "size": 1})
    with pytest.raises(ValueError, match="model.head=false gives 8 outputs; the data wants 3"):
        classifier(model={"head": False})


@pytest.mark.parametrize("init", ["auto", *INITIALIZERS])
def test_every_initializer_trains(init):
    module = classifier(init={"name": init})
    assert torch.isfinite(module.loss(module(torch.randn(8, 4)), torch.arange(8) % 3))


def test_a_network_of_ones_own_keeps_its_draw_unless_an_initializer_is_named():
    own = {"_target_": "torch.nn.Linear"}
    torch.manual_seed(0)
    expected = nn.Linear(4, 3).weight
    torch.manual_seed(0)
    kept = Classifier(own, in_features=4, num_classes=3)
    torch.testing.assert_close(kept.net.weight, expected)
    assert (
        Classifier(own, in_features=4, num_classes=3, init={"name": "normal", "std": 0.0}).net.weight.abs().sum() == 0
    )


ALL = ["acc", "f1", "auroc", "balanced_acc"]


@pytest.mark.parametrize("task", ["multiclass", "binary"])
def test_metrics_that_are_asked_for_are_logged_in_each_epoch(task):
    module, run, loader = classifier(task, metrics=ALL), trainer(max_epochs=2), batches(task)
    run.fit(module, loader, loader)
    logged = {name: run.callback_metrics[f"val/{name}"].item() for name in ALL}
    assert set(run.progress_bar_metrics) & {f"val/{name}" for name in ALL} == {"val/acc"}
    run.validate(module, loader, verbose=False)
    assert {name: run.callback_metrics[f"val/{name}"].item() for name in ALL} == logged
    run.test(module, loader, verbose=False)
    assert {name: run.callback_metrics[f"test/{name}"].item() for name in ALL} == logged


@pytest.mark.parametrize("task", ["multiclass", "binary"])
def test_few_validation_batches_that_lack_a_class(task):
    x, classes = torch.randn(48, 4), {"multiclass": 3, "binary": 2}[task]
    loader = DataLoader(TensorDataset(x, (torch.arange(48) // 24 * (classes - 1)).long()), batch_size=8)
    run = trainer(limit_val_batches=2)
    run.fit(classifier(task, metrics=["auroc", "balanced_acc", "f1"]), batches(task), loader)
    assert math.isnan(run.callback_metrics["val/auroc"])
    assert 0 <= run.callback_metrics["val/balanced_acc"] <= 1
    assert set(run.progress_bar_metrics) >= {"val/auroc"}  # the first


def test_a_checkpoint_from_before_the_class_weights_and_metrics_loads(tmp_path):
    module, run = classifier(), trainer()
    run.fit(module, batches(), batches())
    run.save_checkpoint(tmp_path / "a.ckpt")
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)
    for key in ("class_weight", "metrics"):
        assert saved["hyper_parameters"].pop(key) is None
    torch.save(saved, tmp_path / "a.ckpt")
    assert Classifier.load_from_checkpoint(tmp_path / "a.ckpt").metric_names == ["acc"]


def test_class_weights_and_metrics_are_part_of_a_checkpoint(tmp_path):
    module, run = classifier(class_weight=[1.0, 2.0, 0.5], metrics=ALL), trainer()
    run.fit(module, batches(), batches())
    run.save_checkpoint(tmp_path / "a.ckpt")
    loaded = Classifier.load_from_checkpoint(tmp_path / "a.ckpt")
    assert loaded.loss.weight.tolist() == [1.0, 2.0, 0.5]
    assert loaded.metric_names == ALL


def test_with_balanced_weights_more_of_a_rare_class_are_found():
    generator = torch.Generator().manual_seed(0)

    def drawn(rows: int) -> TensorDataset:
        y = (torch.arange(rows) % 100 == 0).long()
        x = torch.randn(rows, 4, generator=generator)
        x[:, 0] += 2 * y
        return TensorDataset(x, y)

    train, test = drawn(4000), drawn(10_000)

    def recalls(class_weight):
        torch.manual_seed(0)
        module = classifier("binary", class_weight=class_weight, metrics=["balanced_acc"])
        run = trainer(max_epochs=10)
        run.fit(module, DataLoader(train, batch_size=32, shuffle=True), DataLoader(test, batch_size=1000))
        (found,) = run.test(module, DataLoader(test, batch_size=1000), verbose=False)
        x, y = test.tensors
        rare = (module(x).squeeze(1) > 0)[y == 1].float().mean().item()
        return rare, found["test/balanced_acc"], found["test/loss"]

    rare, balanced, loss = recalls(balanced_weights(train.tensors[1], 2))
    unweighted, at_chance, _ = recalls(None)
    assert unweighted < 0.2
    assert at_chance < 0.6
    assert rare > 0.6
    assert balanced > 0.75
    assert loss < 0.8 * math.log(2)  # that of a constant output


class EveryStep(nn.Module):
    """Says of each step which of its features is largest."""

    def __init__(self, in_shape, out_features):
        super().__init__()
        self.in_shape, self.factor = in_shape, nn.Parameter(torch.ones(out_features))

    def forward(self, x):
        return x * self.factor


def test_each_step_of_a_sequence_is_counted(monkeypatch):
    monkeypatch.setenv("GRADVITALS_ALLOW", __name__.partition(".")[0])
    x = torch.eye(3)[torch.tensor([[0, 1, 2, 0], [2, 2, 2, 2]])]
    y = torch.tensor([[0, 1, 0, 0], [2, 2, 2, 1]])  # six of eight
    module = Classifier(
        {"_target_": f"{__name__}.EveryStep"}, in_features=12, num_classes=3, in_shape=(4, 3), metrics=["acc", "f1"]
    )
    assert module.net.in_shape == [4, 3]
    run, loader = trainer(max_epochs=1), DataLoader(TensorDataset(x, y), batch_size=2)
    run.fit(module, loader, loader)
    assert run.callback_metrics["train/acc"].item() == pytest.approx(6 / 8)
    assert run.callback_metrics["val/acc"].item() == pytest.approx(6 / 8)
    assert run.test(module, loader, verbose=False)[0]["test/acc"] == pytest.approx(6 / 8)


def test_a_checkpoint_of_before_the_shape_of_samples_loads(tmp_path):
    module, run = classifier(), trainer()
    run.fit(module, batches(), batches())
    run.save_checkpoint(tmp_path / "now.ckpt")
    content = torch.load(tmp_path / "now.ckpt", weights_only=True)
    del content["hyper_parameters"]["in_shape"]
    torch.save(content, tmp_path / "before.ckpt")
    loaded = Classifier.load_from_checkpoint(tmp_path / "before.ckpt")
    assert loaded.hparams["in_shape"] == [4]
