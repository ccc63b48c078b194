"""What a config may contain: each key by its constraint, and keys that must fit each other."""

import json
import math

import pytest

from gradvitals.app.config.schema import RULES
from gradvitals.app.config.validate import _find, check
from gradvitals.errors import ConfigError
from tests.conftest import composed

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
    groups += ["model=rnn", "model=cnn", "data=adding", "data=sequential_digits", "data=sequence_csv"]
    groups += ["callbacks=early_stopping", *(f"logger={name}" for name in ("aim", "comet", "csv", "mlflow", "wandb"))]
    found = set()
    for config in [BASE, *(composed(group).values for group in groups)]:
        for key in RULES:
            if _find(config, key)[1]:
                found.add(key)
    assert set(RULES) == found


@pytest.mark.parametrize("name", ["Name", "größe", "", True, None, 2020, 1e3])
def test_a_column_may_have_any_name(name):
    config = composed("data=csv").values
    for key in ("drop", "categorical"):
        check({**config, "data": {**config["data"], "target": name, key: name}})
        check({**config, "data": {**config["data"], key: [name, "x"]}})


@pytest.mark.parametrize(("key", "value"), [("target", ["a"]), ("drop", {"a": 1}), ("categorical", [["a"]])])
def test_what_is_no_column_is_refused(key, value):
    config = composed("data=csv").values
    with pytest.raises(ConfigError, match=f"data.{key}: expected the name of a column"):
        check({**config, "data": {**config["data"], key: value}})
