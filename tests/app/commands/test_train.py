"""Whole runs inside this process: what they leave behind."""

import json

import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gradvitals.classifier import Classifier
from gradvitals.results.objective import Objective
from gradvitals.results.result import Result
from tests.conftest import SEED, composed

SHORT = ("trainer.max_epochs=2", "monitor.every_n_steps=20")

# The rate jumps a thousandfold after three epochs: on any machine the best epoch is not the last.
SPOILT = ("scheduler=step", "scheduler.step_size=3", "scheduler.gamma=1000")


def result(run_dir):
    return json.loads((run_dir / "result.json").read_text())


def events(run_dir) -> EventAccumulator:
    read = EventAccumulator(str(run_dir))
    read.Reload()
    return read


def test_a_run_directory(train_here):
    run_dir = train_here("model=bn", "act=elu", *SHORT)
    found = result(run_dir)
    assert found["status"] == "completed"
    assert (found["steps"], found["epochs"], found["seed"]) == (80, 2, SEED)
    samples = 2 * 1257  # the loop that is timed is a part of the whole fit
    assert found["samples_per_second"] > samples / found["seconds"]
    assert set(found) >= {"verdict", "overrides", "metrics", "seconds", "clipped_fraction", "versions", "git"}
    assert found["metrics"]["test/acc"]["final"] > 0.8
    vitals = json.loads((run_dir / "vitals.json").read_text())
    assert [layer["name"] for layer in vitals["layers"]] == [f"net.layers.{i}.linear" for i in range(3)] + ["net.head"]
    assert [layer["fan_in"] for layer in vitals["layers"]] == [64, 128, 128, 128]
    assert all(layer["grad_norm"]["start"] > 0 for layer in vitals["layers"])
    for name in ("best", "last"):
        model = Classifier.load_from_checkpoint(run_dir / f"checkpoints/{name}.ckpt")
        assert model.eval()(torch.zeros(1, 64)).shape == (1, 10)


def test_events_equal_the_files(train_here):
    # After a spike more steps are measured, and whether this training has one depends on the machine.
    run_dir = train_here(*SPOILT, "trainer.max_epochs=8", "monitor.every_n_steps=20", "monitor.spike_steps=0")
    read, found = events(run_dir), result(run_dir)
    losses = [point.value for point in read.Scalars("val/loss")]
    assert min(losses) < losses[-1]
    assert found["metrics"]["val/loss"]["best"] == pytest.approx(min(losses), rel=1e-6)
    for tag in ("val/loss", "val/acc", "test/acc", "train/loss"):
        assert read.Scalars(tag)[-1].value == pytest.approx(found["metrics"][tag]["final"], rel=1e-6)
    vitals = json.loads((run_dir / "vitals.json").read_text())
    points = read.Scalars("grad_norm/00.net.layers.0.linear")
    assert [p.step for p in points] == [*range(10), *range(20, 320, 20)]
    assert points[0].value == pytest.approx(vitals["layers"][0]["grad_norm"]["start"], rel=1e-6)
    assert points[-1].value == pytest.approx(vitals["layers"][0]["grad_norm"]["end"], rel=1e-6)


def test_hparams_have_a_metric_with_real_values(train_here):
    from tensorboard.plugins.hparams import plugin_data_pb2

    read = events(train_here(*SHORT))
    tags = read.summary_metadata
    data = plugin_data_pb2.HParamsPluginData.FromString(tags["_hparams_/session_start_info"].plugin_data.content)
    assert data.session_start_info.hparams["model.depth"].number_value == 3
    experiment = plugin_data_pb2.HParamsPluginData.FromString(
        tags["_hparams_/experiment"].plugin_data.content
    ).experiment
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert metrics == ["val/acc", "vitals/severity"]
    assert [point.value for point in read.Scalars("vitals/severity")] == [0]  # healthy, told at the end
    assert len(read.Scalars("val/acc")) == 2  # the epochs' own values, none planted
    assert all(0 <= point.value <= 1 for point in read.Scalars("val/acc"))


def test_a_diverged_run_is_a_result(train_here):
    run_dir = train_here("optimizer=sgd", "optimizer.lr=1e9", *SHORT)
    text = (run_dir / "result.json").read_text()
    found = json.loads(text)
    assert found["status"] == "diverged"
    assert "NaN" not in text
    result = Result.from_json(found)
    assert result.value_of(result.objective) == 0.0
    assert result.value_of(Objective.named("val/loss")) == 1e6


def test_early_stopping_is_a_status(train_here):
    run_dir = train_here(
        "callbacks=early_stopping", "callbacks.early_stopping.patience=1", "optimizer.lr=0", "trainer.max_epochs=9"
    )
    assert result(run_dir)["status"] == "stopped"


@pytest.mark.parametrize(
    ("typed", "value", "algorithm"),
    [
        (["clip=norm", "clip.val=0.5"], 0.5, "norm"),
        (["clip=value"], 1.0, "value"),
        (["trainer.gradient_clip_val=2", "trainer.gradient_clip_algorithm=value"], 2, "value"),
        (["clip=agc"], None, None),
    ],
)
def test_clipping_becomes_the_trainers(typed, value, algorithm, tmp_path):
    from gradvitals.app.run.assemble import assemble

    trainer = assemble(composed(*typed, run_dir=str(tmp_path))).trainer
    assert trainer.gradient_clip_val == value
    assert getattr(trainer.gradient_clip_algorithm, "value", None) == algorithm


def test_the_same_seed_gives_the_same_weights(train_here):
    def weights():
        path = train_here("trainer.max_epochs=1") / "checkpoints/last.ckpt"
        state = torch.load(path, weights_only=True)["state_dict"]
        path.unlink()
        return torch.cat([tensor.flatten().double() for tensor in state.values()])

    assert torch.equal(weights(), weights())


def test_weights_start_a_run_with_a_fresh_optimizer(train_here, tmp_path):
    train_here("trainer.max_epochs=1")
    kept = tmp_path / "first.ckpt"
    (tmp_path / "checkpoints/last.ckpt").rename(kept)
    first = torch.load(kept, weights_only=True)["state_dict"]
    train_here(f"weights={kept}", "optimizer=sgd", "optimizer.lr=0", "trainer.max_epochs=1")
    second = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_checkpoint_of_another_network_is_told(train_here, tmp_path, capsys):
    train_here("trainer.max_epochs=1")
    kept = tmp_path / "first.ckpt"
    (tmp_path / "checkpoints/last.ckpt").rename(kept)
    with pytest.raises(SystemExit) as refusal:
        train_here(f"weights={kept}", "model.depth=2")
    assert refusal.value.code == 1
    assert "expected a checkpoint of the same network" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["weights", "ckpt_path"])
def test_a_file_that_is_no_checkpoint(train_here, tmp_path, capsys, key):
    (tmp_path / "note.txt").write_text("no checkpoint")
    with pytest.raises(SystemExit):
        train_here(f"{key}={tmp_path}/note.txt")
    assert f"{key}={tmp_path}/note.txt: expected a checkpoint; cannot read it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (
            ["scheduler=plateau", "scheduler.monitor=val/acc2"],
            "scheduler.monitor: expected one of train/loss, val/loss, val/acc",
        ),
        (["callbacks.best.monitor=loss"], "ModelCheckpoint.monitor: expected one of"),
        (["scheduler=onecycle", "scheduler.total_steps=5", "trainer.val_check_interval=1000"], "val_check_interval"),
    ],
)
def test_what_fails_before_the_first_batch_leaves_nothing(train_here, tmp_path, capsys, typed, words):
    with pytest.raises(SystemExit) as refusal:
        train_here(*typed)
    assert refusal.value.code == 1
    assert words in capsys.readouterr().err
    assert not tmp_path.exists() or not list(tmp_path.iterdir())


@pytest.mark.parametrize("logger", ["none", "csv", "many"])
def test_loggers(train_here, logger):
    run_dir = train_here(f"logger={logger}", *SHORT)
    assert result(run_dir)["status"] == "completed"
    assert (run_dir / "metrics.csv").exists() == (logger != "none")


def test_a_fit_of_few_steps_still_knows_its_loss(train_here):
    assert result(train_here("trainer.max_steps=3", "callbacks=none"))["metrics"]["train/loss"]["final"] > 0


def test_lsuv_sees_the_data(train_here):
    run_dir = train_here("init=lsuv", "model.depth=6", "optimizer.lr=0", "trainer.max_epochs=1")
    model = Classifier.load_from_checkpoint(run_dir / "checkpoints/last.ckpt")
    from gradvitals.data.digits import Digits

    x, stds = Digits().loaded.train.x[:1024], []
    for layer in model.net.layers:
        layer.linear.register_forward_hook(lambda _, __, out: stds.append(out.std().item()))
    model.eval()(x)
    assert stds == pytest.approx([1.0] * 6, abs=0.02)


def test_a_bad_pairing_is_remarked_on_once(train_here, caplog):
    train_here("act=sigmoid", "init=he_normal", "trainer.max_epochs=1")
    assert sum("saturates" in record.getMessage() for record in caplog.records) == 1


def test_own_network_and_module(train_here, tmp_path, monkeypatch):
    source = tmp_path / "ownnets.py"
    source.write_text(
        "import torch\n"
        "from lightning import LightningModule\n"
        "class Net(torch.nn.Sequential):\n"
        "    def __init__(self, in_features, out_features, act):\n"
        "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(in_features, 7), act(), torch.nn.Linear(7, out_features))\n"
        "class Module(LightningModule):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.net = torch.nn.Linear(64, 10)\n"
        "    def training_step(self, batch, i):\n"
        "        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])\n"
        "    def validation_step(self, batch, i):\n"
        "        self.log('val/loss', self.training_step(batch, i))\n"
        "    def configure_optimizers(self):\n"
        "        return torch.optim.SGD(self.parameters(), 0.1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADVITALS_ALLOW", "ownnets")
    run_dir = train_here("model._target_=ownnets.Net", "act=tanh", "trainer.max_epochs=1")
    assert [layer["fan_in"] for layer in json.loads((run_dir / "vitals.json").read_text())["layers"]] == [64, 7]
    run_dir = train_here("model._target_=ownnets.Module", "trainer.max_epochs=1")  # it has no test_step
    assert [layer["name"] for layer in json.loads((run_dir / "vitals.json").read_text())["layers"]] == ["net"]


@pytest.fixture
def rising(tmp_path, monkeypatch):
    """Admits a module whose only metric is 1, 2 and 3 after its three epochs."""
    (tmp_path / "rising.py").write_text(
        "import torch\n"
        "from lightning import LightningModule\n"
        "class Module(LightningModule):\n"
        "    def __init__(self, name):\n"
        "        super().__init__()\n"
        "        self.net, self.name = torch.nn.Linear(64, 10), name\n"
        "    def training_step(self, batch, i):\n"
        "        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])\n"
        "    def validation_step(self, batch, i):\n"
        "        self.log(self.name, float(self.current_epoch + 1))\n"
        "    def configure_optimizers(self):\n"
        "        return torch.optim.SGD(self.parameters(), 0.1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADVITALS_ALLOW", "rising")
    return ["model._target_=rising.Module", "trainer.max_epochs=3", "~callbacks.best", "report=false"]


@pytest.mark.parametrize(
    ("tag", "typed", "mode", "best", "warnings"),
    [
        ("val/mae", ["objective=val/mae"], "min", 1.0, 0),
        ("val/perplexity", ["objective=val/perplexity"], "min", 1.0, 0),
        ("val/f1", ["objective=val/f1"], "max", 3.0, 0),
        ("val/elbo", ["objective=val/elbo", "objective_mode=min"], "min", 1.0, 0),
        ("val/elbo", ["objective=val/elbo"], "max", 3.0, 1),
        ("val/loss", [], "min", 1.0, 0),
    ],
)
def test_result_json_names_the_objective_and_its_best_value(
    train_here, rising, caplog, tag, typed, mode, best, warnings
):
    found = result(train_here(*rising, f"+model.name={tag}", *typed))
    assert found["objective"] == {"tag": tag, "mode": mode}
    assert found["metrics"][tag] == {"best": best, "final": 3.0}
    assert caplog.text.count("Set objective_mode=min or max") == warnings


def test_a_cures_trial_is_scored_by_the_same_objective(rising):
    from gradvitals.app.cure.trial import run_trial

    rising.remove("~callbacks.best")
    trial = run_trial([*rising, "+model.name=val/perplexity", "objective=val/perplexity"])
    assert (trial.status, trial.best, trial.score) == ("completed", 1.0, -1.0)


@pytest.mark.parametrize("data", ["iris", "circles", "blobs"])
@pytest.mark.parametrize("model", ["plain", "bn"])
def test_small_data_trains(train_here, data, model):
    assert result(train_here(f"data={data}", f"model={model}", "trainer.max_epochs=1"))["status"] == "completed"


@pytest.mark.parametrize(
    ("data", "rows"), [("iris", "test"), ("iris data.split=false", "train"), ("circles", "val"), ("noise", "test")]
)
def test_the_result_names_the_rows_that_were_tested(train_here, tmp_path, data, rows):
    short = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "monitor=off", "logger=none")
    train_here(f"data={data.split()[0]}", *data.split()[1:], *short)
    assert result(tmp_path)["tested_on"] == rows
    log = tmp_path / "report.html"
    assert ("rows: these data have no test rows of their own" in log.read_text()) == (rows != "test")


def test_the_result_names_no_rows_where_nothing_was_tested(train_here):
    assert result(train_here("trainer.fast_dev_run=1", "monitor=off", "test=false"))["tested_on"] is None


@pytest.mark.parametrize("debug", ["one_batch", "overfit", "limit"])
def test_debug_configs_run(train_here, debug):
    found = result(train_here(f"debug={debug}"))
    assert found["status"] == "completed"
    if debug == "overfit":
        assert found["metrics"]["train/loss"]["final"] < 0.01


def test_the_real_table(train_here, data_root):
    table = data_root / "water_potability.csv"
    found = result(
        train_here("data=csv", f"data.path={table}", "data.target=Potability", "model=bn", "trainer.max_epochs=5")
    )
    assert found["metrics"]["test/acc"]["final"] > 0.61  # the majority class


def test_the_last_checkpoint_is_the_last(train_here):
    run_dir = train_here(*SPOILT, "trainer.max_epochs=4")
    steps = {
        name: torch.load(run_dir / f"checkpoints/{name}.ckpt", weights_only=True)["global_step"]
        for name in ("best", "last")
    }
    assert steps["last"] == 160
    assert steps["best"] < 160


@pytest.mark.parametrize(("data", "tested"), [("circles", "last"), ("blobs", "last"), ("digits", "best")])
def test_which_weights_are_tested(data, tested):
    assert composed(f"data={data}")["test"] == tested


OWN = """
import torch
from lightning import LightningModule

class Net(torch.nn.Module):
    def __init__(self, in_features, out_features, hidden=8, bias: bool = True):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(in_features, hidden, bias=bias), torch.nn.ReLU(), torch.nn.Linear(hidden, out_features)
        )

    def forward(self, x):
        return self.layers(x)

class Module(LightningModule):
    def training_step(self, batch, i): ...
    def configure_optimizers(self): ...

class Sized(LightningModule):
    def __init__(self, size):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(64, size), torch.nn.ReLU(), torch.nn.Linear(size, 10))

    def test_step(self, batch, i):
        self.log("test/size", float(self.net[0].out_features))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A package of the user's own, admitted."""
    (tmp_path / "mypackage.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADVITALS_ALLOW", "mypackage")


def test_a_network_of_ones_own_is_given_what_was_typed_and_no_more(own):
    from gradvitals.app.run.build_model import build_model
    from gradvitals.data.digits import Digits

    config = composed("model._target_=mypackage.Net")
    assert build_model(config, Digits()).net.layers[0].out_features == 8
    typed = composed("model._target_=mypackage.Net", "model.hidden=5")
    assert build_model(typed, Digits()).net.layers[0].out_features == 5


def test_groups_that_a_module_of_ones_own_ignores_are_refused(own, tmp_path):
    from gradvitals.app.run.assemble import assemble
    from gradvitals.errors import ConfigError

    assemble(composed("model._target_=mypackage.Module", run_dir=str(tmp_path)))
    with pytest.raises(ConfigError, match=r"optimizer.lr: has no part in a LightningModule of your own"):
        assemble(composed("model._target_=mypackage.Module", "optimizer.lr=0.1", run_dir=str(tmp_path)))
    with pytest.raises(ConfigError, match="clip=agc: has no part"):
        assemble(composed("model._target_=mypackage.Module", "clip=agc", run_dir=str(tmp_path)))


def test_a_module_of_ones_own_is_evaluated_with_its_own_arguments(own, tmp_path):
    from gradvitals.app.commands.evaluate import evaluate

    config = composed() | {"model": {"_target_": "mypackage.Sized", "size": 7}}
    import mypackage

    for folder in (".hydra", "checkpoints"):
        (tmp_path / folder).mkdir()
    OmegaConf.save(OmegaConf.create(config.values), tmp_path / ".hydra/config.yaml")
    OmegaConf.save(OmegaConf.create(["model=mine"]), tmp_path / ".hydra/overrides.yaml")
    state = {"state_dict": mypackage.Sized(7).state_dict(), "global_step": 0}
    torch.save(state, tmp_path / "checkpoints/best.ckpt")
    assert evaluate(tmp_path).metrics == {"test/size": 7.0}


def test_a_classifier_is_pickled():
    import pickle

    model = Classifier({"_target_": "gradvitals.nets.mlp.MLP"}, 4, 2, task="binary")
    x = torch.randn(3, 4)
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))


@pytest.mark.parametrize(
    ("typed", "threads"),
    [(["threads=auto"], 1), (["threads=auto", "model.width=4096"], None), (["threads=1", "model.width=4096"], 1)],
)
def test_small_nets_take_one_thread(typed, threads, tmp_path):
    import os

    from gradvitals.app.run.assemble import assemble

    assemble(composed(*typed, run_dir=str(tmp_path)))
    assert torch.get_num_threads() == (threads or len(os.sched_getaffinity(0)))


ALL_METRICS = "metrics=[acc,f1,auroc,balanced_acc]"


def test_metrics_serve_as_objective_in_early_stopping_and_for_the_best_checkpoint(train_here):
    stopping = [
        "callbacks=early_stopping",
        "callbacks.early_stopping.monitor=val/f1",
        "callbacks.early_stopping.mode=max",
    ]
    best = ["callbacks.best.monitor=val/balanced_acc", "callbacks.best.mode=max"]
    typed = ["data=iris", ALL_METRICS, "objective=val/auroc", "callbacks.early_stopping.patience=1", *stopping, *best]
    run_dir = train_here(*typed, "optimizer.lr=0", "report=false")
    found = result(run_dir)
    assert found["status"] == "stopped"  # the weights do not change, and neither does the score
    assert found["epochs"] == 2
    assert found["objective"] == {"tag": "val/auroc", "mode": "max"}
    for name in ("acc", "f1", "auroc", "balanced_acc"):
        assert 0 <= found["metrics"][f"val/{name}"]["best"] <= 1
        assert 0 <= found["metrics"][f"test/{name}"]["final"] <= 1
    saved = torch.load(run_dir / "checkpoints/best.ckpt", weights_only=True)
    (callback,) = (state for name, state in saved["callbacks"].items() if name.startswith("ModelCheckpoint"))
    assert callback["monitor"] == "val/balanced_acc"


@pytest.mark.parametrize(
    ("typed", "message", "works"),
    [
        (
            ["objective=val/aucc", ALL_METRICS],
            "objective: expected auto or one of train/acc, train/loss, val/loss, val/acc, val/f1, val/auroc, val/balanced_acc; got "
            "'val/aucc'. For example: objective=val/acc",
            ["objective=val/acc"],
        ),
        (
            ["objective=val/f1"],
            "objective: expected auto or one of train/acc, train/loss, val/loss, val/acc; got 'val/f1'. To log it, add "
            "metrics=[acc,f1]",
            ["objective=val/f1", "metrics=[acc,f1]"],
        ),
        (
            ["callbacks.best.monitor=val/f1"],
            "ModelCheckpoint.monitor: expected one of train/loss, val/loss, val/acc; got 'val/f1'. To log it, add "
            "metrics=[acc,f1]",
            ["callbacks.best.monitor=val/f1", "metrics=[acc,f1]"],
        ),
        (
            ["metrics=[acc,aucc]"],
            "metrics: expected some of acc, f1, auroc, balanced_acc for a multiclass task; got 'aucc'. Set metrics=auto",
            ["metrics=auto"],
        ),
        (
            ["objective=val/r2"],
            "objective: expected auto or one of train/acc, train/loss, val/loss, val/acc; got 'val/r2'",
            [],
        ),
    ],
)
def test_a_metric_that_will_not_be_logged_is_refused_with_one_that_will(
    train_here, tmp_path, capsys, typed, message, works
):
    with pytest.raises(SystemExit) as refusal:
        train_here("data=iris", *typed)
    assert refusal.value.code == 1
    assert message in capsys.readouterr().err
    assert not tmp_path.exists() or not list(tmp_path.iterdir())
    assert result(train_here("data=iris", *works, "trainer.max_epochs=1", "report=false"))["status"] == "completed"


def test_a_callback_of_ones_own_may_log_the_objective(train_here, tmp_path, monkeypatch, caplog):
    (tmp_path / "owncallback.py").write_text("from lightning import Callback\nclass Own(Callback): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADVITALS_ALLOW", "owncallback")
    typed = ["data=iris", "+callbacks.own._target_=owncallback.Own", "objective=val/own", "objective_mode=max"]
    assert result(train_here(*typed, "trainer.max_epochs=1", "report=false"))["status"] == "completed"
    assert caplog.text.count("objective=val/own: no such metric") == 1


@pytest.mark.parametrize("typed", ["metrics=[acc]", "data.class_weight=balanced"])
def test_a_module_of_ones_own_has_its_own_loss_and_metrics(train_here, rising, capsys, typed):
    with pytest.raises(SystemExit):
        train_here(*rising, "+model.name=val/loss", typed)
    assert f"{typed.partition('=')[0]}: has no part in a LightningModule of your own" in capsys.readouterr().err


def test_balanced_classes_in_a_run(train_here):
    run_dir = train_here("data=iris", "data.class_weight=balanced", "trainer.max_epochs=1", "report=false")
    weights = Classifier.load_from_checkpoint(run_dir / "checkpoints/last.ckpt").hparams["class_weight"]
    assert weights == pytest.approx([1.0, 1.0, 1.0], rel=0.05)
