"""Names, files, errors, checks, tables: small parts that need no command line."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

from gradvitals.app.config.error_messages import explain
from gradvitals.app.config.overrides import slug
from gradvitals.app.config.schema import RULES
from gradvitals.app.config.validate import _find, check
from gradvitals.app.run.job import discard
from gradvitals.diagnosis.profile import profile
from gradvitals.errors import ConfigError, closest
from gradvitals.report.tables.preflight import table
from gradvitals.results.files import write_json
from gradvitals.results.provenance import git_commit, versions
from gradvitals.signal_propagation.reading import LayerReading, Preflight, content
from tests.conftest import composed


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("model=bn,act=elu", "_model=bn,act=elu"),
        ("", ""),
        ("data.root=../../evil", "_data.root=evil"),
        ("data.path=/etc/passwd", "_data.path=passwd"),
        ("a=..", "_a="),
        ("../..", ""),
        ("model.hidden=[300,100]", "_model.hidden=-300,100"),
        ("tags=[<b>;rm -rf]", "_tags=-b-rm--rf"),
        ("x=" + "y" * 300, "_x=" + "y" * 98),
        ("data.root=/a/ü b", "_data.root=-b"),
    ],
)
def test_names_stay_inside_their_folder(text, name):
    assert slug(text) == name
    assert "/" not in slug(text)


def test_json_is_finite_and_whole(tmp_path):
    write_json(tmp_path / "a.json", {"x": [1.0, math.nan, math.inf], "y": {"z": -math.inf}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [1.0, None, None], "y": {"z": None}}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_discard_removes_what_hydra_made_and_nothing_else(tmp_path):
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    for name in (".hydra/config.yaml", ".hydra/overrides.yaml", "train.log"):
        (run / name).touch()
    discard(run)
    assert not run.exists()
    run.mkdir()
    (run / "thesis.log").touch()
    discard(run)
    assert (run / "thesis.log").exists()


@pytest.mark.parametrize("kept", ["checkpoints/last.ckpt", "result.json"])
def test_discard_leaves_a_run_that_was_there_before(tmp_path, kept):
    for name in (".hydra/overrides.yaml", "train.log", kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    discard(tmp_path)
    assert (tmp_path / ".hydra/overrides.yaml").exists()
    assert (tmp_path / "train.log").exists()


def test_versions_and_commit():
    assert {"torch", "lightning", "hydra-core"} <= set(versions())
    commit = git_commit()
    assert commit is None or len(commit.rstrip("+")) == 40


def test_closest_come_first():
    assert closest("lrr", ["momentum", "weight_decay", "lr"]) == "lr, momentum, weight_decay"


def test_unknown_errors_name_their_type_and_the_way_to_the_traceback():
    assert explain(ValueError("a\nb")) == "a b"
    assert explain(KeyError("x")) == "KeyError: 'x' (HYDRA_FULL_ERROR=1 shows the traceback)"


BASE = composed().values


def changed(key: str, value: object) -> dict:
    config = json.loads(json.dumps(BASE))
    *path, last = key.split(".")
    section = config
    for part in path:
        section = section[part]
    section[last] = value
    return config


def test_the_default_passes():
    check(BASE)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("optimizer.lr", "abc", "optimizer.lr: expected a number of at least 0; got 'abc'"),
        ("optimizer.lr", -1, "optimizer.lr"),
        ("optimizer.lr", math.nan, "optimizer.lr"),
        ("optimizer.lr", True, "optimizer.lr"),
        ("optimizer.betas", [0.9], "optimizer.betas"),
        ("model.depth", -1, "model.depth: expected an integer from 0 to 100000; got -1"),
        ("model.depth", 2.5, "model.depth"),
        ("model.width", 0, "model.width"),
        ("model.hidden", [3, 0], "model.hidden: expected a list, each an integer from 1 to 1000000, or null"),
        ("trainer.max_epochs", -3, "trainer.max_epochs: expected an integer of 1 or more, or -1 for no limit"),
        ("trainer.max_epochs", 0, "trainer.max_epochs"),
        ("trainer.limit_val_batches", 1.5, "trainer.limit_val_batches"),
        ("trainer.gradient_clip_algorithm", "foo", "expected one of norm, value, or null; got 'foo'"),
        ("seed", -1, "seed: expected an integer from 0 to 4294967295, or null; got -1"),
        ("seed", "abc", "seed"),
        ("test", True, "test: expected one of best, last, false; got True"),
        ("data.batch_size", 0, "data.batch_size"),
        ("threads", 0, "threads"),
        ("task_name", "../x", "task_name: expected a name without slashes"),
    ],
)
def test_absurd_values_are_refused(key, value, words):
    with pytest.raises(ConfigError, match=words):
        check(changed(key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", 0), ("seed", None), ("trainer.max_epochs", -1), ("model.depth", 0), ("threads", 2), ("test", False)],
)
def test_odd_values_that_are_meant_pass(key, value):
    check(changed(key, value))


def test_widths_are_said_once():
    config = changed("model.hidden", [3])
    check(config)
    with pytest.raises(ConfigError, match=r"model.depth: model.hidden=\[3\] says the widths already"):
        check(config, typed=["model.depth"])


def test_clipping_is_said_once():
    config = changed("trainer.gradient_clip_val", 1.0)
    check(config)
    config["clip"] = {"name": "value", "val": 1.0}
    with pytest.raises(ConfigError, match="trainer.gradient_clip_val=1.0 and clip=value both clip"):
        check(config)


def test_clipping_needs_a_threshold():
    with pytest.raises(ConfigError, match="clip.val: clip=norm needs a threshold"):
        check(changed("clip", {"name": "norm", "val": None}))
    with pytest.raises(ConfigError, match="at most 100; got 101"):
        check(changed("clip", {"name": "percentile", "val": 101}))


def test_what_would_be_ignored_is_refused():
    with pytest.raises(ConfigError, match="clip.val=3: clip=none clips nothing"):
        check(changed("clip.val", 3))
    with pytest.raises(ConfigError, match="expected trainer.gradient_clip_val beside it"):
        check(changed("trainer.gradient_clip_algorithm", "value"), typed=["trainer.gradient_clip_algorithm"])


def test_fused_with_clipping_under_mixed_precision():
    config = changed("optimizer.fused", True)
    config["trainer"] |= {"precision": "bf16-mixed", "gradient_clip_val": 1.0}
    with pytest.raises(ConfigError, match="optimizer.fused=false"):
        check(config)
    config["optimizer"]["fused"] = "auto"
    check(config)


def test_a_group_that_was_taken_away():
    with pytest.raises(ConfigError, match="optimizer: expected an option of the group; got none"):
        check({key: value for key, value in BASE.items() if key != "optimizer"})


@pytest.mark.parametrize("model", [{"norm": "batch"}, {"input_norm": True}, {"input_norm": "batch"}])
def test_batch_norm_needs_a_batch(model):
    config = changed("data.batch_size", 1)
    check(config)
    config["model"] |= model
    with pytest.raises(ConfigError, match="BatchNorm needs at least 2 samples in a batch; got 1"):
        check(config)


def test_every_rule_is_of_a_key_that_some_option_has():
    groups = ["data=csv", "data=fashion_mnist", "data=iris", "init=uniform", "init=normal", "init=variance_scaling"]
    groups += [f"act={name}" for name in ("leaky_relu", "prelu", "elu", "softplus", "hardtanh")]
    groups += [f"scheduler={name}" for name in ("cosine", "onecycle", "plateau", "step")]
    groups += [f"optimizer={name}" for name in ("sgd", "rmsprop")] + ["data=noise", "act=gelu"]
    groups += ["callbacks=early_stopping", *(f"logger={name}" for name in ("csv", "mlflow", "wandb"))]
    found = set()
    for config in [BASE, *(composed(group).values for group in groups)]:
        for key in RULES:
            if _find(config, key)[1]:
                found.add(key)
    assert set(RULES) == found


def a_layer(**numbers):
    names = [field.name for field in fields(LayerReading)]
    return LayerReading(**{**dict.fromkeys(names), "name": "fc", "index": 0, "kind": "Linear", **numbers})


def test_the_preflights_table():
    measured = {"activation_mean": 0.5, "activation_std": 0.124, "dead_fraction": 0.0, "saturated_fraction": 0.5}
    gains = {"activation_grad_norm": 3.661e-20, "gain_measured": 0.2, "gain_predicted": 0.2344, "gain_scatter": 0.0465}
    steps = {"grad_norm_corrected": 12345.0, "update_ratio": 0.001}
    first = a_layer(name="a." * 20 + "linear", **measured, **gains, **steps)
    last = a_layer(index=12, name="head", activation_grad_norm=1.83e-19)
    found = Preflight([first, last], 2.8e-20, 2.35, math.log(10), 2.07, profile([3.66e-20, 1.83e-19]))
    titles, one, two, loss, surprise, verdict, file = table(found, Path("run")).splitlines()
    assert titles.split()[:4] == ["layer", "mean", "std", "dead"]
    assert (
        one == " 0  …a.a.a.a.a.a.a.a.linear  0.50  0.12   0 %    50 %  3.66e-20  0.200  0.234  ±5 %   1.23e+04  0.00100"
    )
    assert two.split() == ["12", "head", "-", "-", "-", "-", "1.83e-19", "-", "-", "-", "-"]
    assert {len(line) for line in (titles, one, two)} == {len(one)}
    assert loss == "loss 2.35, expected 2.303 (log 10); gradient at the input 2.800e-20"
    assert surprise == "layer 0 is 3 scatters off: gain 0.200, predicted 0.234"
    assert verdict.endswith(": 0.2 per layer; trainable to about 2 layers, this net has 1")
    assert file == "written to run/preflight.json"


def test_the_preflights_table_where_little_is_known():
    found = Preflight([a_layer()], None, 0.25, None, None, profile([None]))
    _, row, loss, verdict, _ = table(found, Path("run")).splitlines()
    assert row.split() == ["0", "fc", *"-" * 9]
    assert (loss, verdict) == ("loss 0.25", "unknown: fewer than two layers received a gradient")
    assert "(log" not in table(replace(found, loss_expected=0.25), Path("run"))
    assert content(found)["loss_expected"] is None


def test_a_table_as_wide_as_it_gets():
    numbers = {f.name: 1.2345678e-10 for f in fields(LayerReading) if f.name not in ("name", "index", "kind")}
    numbers |= {"activation_mean": -1e-10, "gain_scatter": 0.9, "dead_fraction": 1.0, "saturated_fraction": 1.0}
    layer = a_layer(**{**numbers, "name": "module." * 20, "index": 100})
    lines = table(Preflight([layer], 1e-10, 1.0, 1.0, None, profile([None])), Path("run")).splitlines()
    assert max(map(len, lines)) <= 120
