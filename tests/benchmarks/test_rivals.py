"""The rules of other tools on histories made by hand, and one real training that fills every field."""

from __future__ import annotations

import doctest
import importlib
import math
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.classifier import Classifier
from tests.callbacks.trainer import bare_trainer

ZOO = Path(__file__).parents[2] / "benchmarks" / "zoo"


@pytest.fixture(scope="module")
def zoo() -> Iterator[Any]:
    """The modules as ``python benchmarks/zoo`` finds them, under names that are taken back afterwards."""
    sys.path.insert(0, str(ZOO))
    rivals = importlib.import_module("rivals")
    yield rivals
    sys.path.remove(str(ZOO))
    for name in ("rivals", "record"):
        sys.modules.pop(name, None)


def outputs(**seen: Any) -> Any:
    record = sys.modules["record"]
    inside = dict.fromkeys((record.TANH, record.SIGMOID, record.FIVE), (0.0,) * 4)
    healthy = {"not_positive": 0.5, "std": 1.0, "active": (0.5,) * 4, "peak": (1.0,) * 4, "outside": inside}
    return record.Outputs(**healthy | seen)


def layer(activation: str = "relu", seen: dict[str, Any] | None = None, **numbers: Any) -> Any:
    healthy = {
        "fan_in": 4,
        "fan_out": 4,
        "weight_variance": 0.5,
        "gradient": 0.1,
        "gradient_norm": 1.0,
        "gradient_p05": -0.2,
        "gradient_p95": 0.2,
        "zeros": 0.4,
        "non_finite": 0.0,
        "update_ratio": 1e-3,
    }
    made = outputs(**seen or {}) if activation else None
    return sys.modules["record"].Layer(**healthy | numbers, activation=activation, outputs=made)


def history(*layers: Any, steps: int = 60, accuracy: float | list[float] = 0.5, loss: float = 0.7) -> list[Any]:
    """Ten epochs of six steps, of which the first ten and each epoch's last were measured."""
    moments = []
    for step in (s for s in range(steps) if s < 10 or s % 6 == 5):
        reached = accuracy[step // 6] if isinstance(accuracy, list) else accuracy
        moments.append(sys.modules["record"].Moment(step, step % 6 == 5, loss, reached, 2, (*layers, layer(""))))
    return moments


def told(examine: Any, *layers: Any, **run: Any) -> tuple[str, int] | None:
    alarm = examine(history(*layers or (layer(),), **run))
    return alarm and (alarm.verdict, alarm.step)


SOME = dict.fromkeys(((-9.4999, 9.4999), (-23.0, 16.99999), (-5.0, 5.0)), (0.995, 0.995, 0.995, 0.0))
HALF = dict.fromkeys(SOME, (0.995, 0.995, 0.98, 0.0))
QUARTER = dict.fromkeys(SOME, (0.9, 0.9, 0.1, 0.1))

SAGEMAKER = [
    ({}, None),
    ({"non_finite": 0.1}, "exploding"),
    ({"seen": {"active": (0.0, 0.0, 0.009, 0.5)}}, "dead_units"),
    ({"seen": {"active": (0.0, 0.0, 0.01, 0.5)}}, None),
    ({"activation": "leakyrelu", "seen": {"active": (0.0,) * 4}}, None),
    ({"activation": "tanh", "seen": {"outside": SOME}}, "saturated"),
    ({"activation": "sigmoid", "seen": {"outside": SOME}}, "saturated"),
    ({"activation": "tanh", "seen": {"outside": HALF}}, None),
    ({"activation": "relu", "seen": {"outside": SOME}}, None),
    ({"weight_variance": 0.049, "gradient_p05": 0.0, "gradient_p95": 9e-4}, "poor_init"),
    ({"weight_variance": 0.051, "gradient_p05": 0.0, "gradient_p95": 9e-4}, None),
    ({"weight_variance": 0.049, "gradient_p05": 0.0, "gradient_p95": 2e-3}, None),
    ({"gradient": 9e-8}, "vanishing"),
    ({"gradient": 1.1e-7}, None),
    ({"update_ratio": 11.0}, "unstable"),
    ({"update_ratio": 9e-9}, "stalled"),
    ({"update_ratio": 2e-8}, None),
]


@pytest.mark.parametrize(("seen", "verdict"), SAGEMAKER)
def test_sagemaker(zoo: Any, seen: dict[str, Any], verdict: str | None) -> None:
    assert told(zoo.sagemaker, layer(**seen)) == (verdict and (verdict, 0))


def test_sagemaker_judges_the_initialisation_in_the_first_ten_steps(zoo: Any) -> None:
    poor = layer(weight_variance=0.01, gradient_p05=0.0, gradient_p95=0.0)
    assert zoo.sagemaker(history(poor)[10:]) is None


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ({"zeros": 1.0}, "dead_units"),  # the half of all gradients, and two fifths of the head's half
        ({"zeros": 0.99}, "stalled"),
        ({"gradient_norm": 71.0}, "exploding"),
        ({"gradient_norm": 69.0}, "stalled"),
        ({"gradient_norm": 9e-5}, "vanishing"),
        ({"gradient_norm": 1.1e-4}, "stalled"),
    ],
)
def test_autotrainer(zoo: Any, seen: dict[str, Any], verdict: str) -> None:
    assert told(zoo.autotrainer, layer(**seen)) == (verdict, 17)  # three of ten epochs are over


@pytest.mark.parametrize(("accuracy", "heard"), [(0.6, ("dead_units", 17)), (0.61, None), ([0.7] + [0.1] * 9, None)])
def test_autotrainer_looks_when_the_accuracy_is_poor(zoo: Any, accuracy: Any, heard: Any) -> None:
    assert told(zoo.autotrainer, layer(zeros=1.0), accuracy=accuracy) == heard


def test_autotrainer_hears_a_nan_at_once_whatever_the_accuracy(zoo: Any) -> None:
    assert told(zoo.autotrainer, loss=math.nan, accuracy=0.9) == ("exploding", 5)


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [
        ([0.5, 0.55] * 5, "unstable"),
        ([0.5, 0.52] * 5, None),
        ([0.5, 0.508] * 5, "stalled"),
        ([0.3 + 0.02 * i for i in range(10)], None),
    ],
)
def test_autotrainer_on_the_course_of_accuracy(zoo: Any, accuracy: list[float], verdict: str | None) -> None:
    alarm = zoo.autotrainer(history(layer(), accuracy=accuracy))
    assert (alarm and alarm.verdict) == verdict


@pytest.mark.parametrize(
    ("seen", "heard"),
    [
        ({}, None),
        ({"non_finite": 0.1}, ("non_finite", 5)),
        ({"seen": {"not_positive": 0.7}}, ("dead_units", 59)),
        ({"seen": {"not_positive": 0.69}}, None),
        ({"activation": "elu", "seen": {"not_positive": 0.9}}, None),
        ({"activation": "tanh", "seen": {"outside": SOME}}, ("saturated", 5)),
        ({"activation": "sigmoid", "seen": {"outside": QUARTER}}, None),
        ({"gradient": 9e-8}, ("vanishing", 5)),
        ({"gradient": 1.1e-7}, None),
        ({"update_ratio": 0.5}, None),
    ],
)
def test_deepdiagnosis(zoo: Any, seen: dict[str, Any], heard: Any) -> None:
    assert told(zoo.deepdiagnosis, layer(**seen)) == heard


@pytest.mark.parametrize(
    ("seen", "heard"),
    [
        ({}, None),
        ({"weight_variance": 1.36}, ("poor_init", 0)),  # 2.72 times 2 / fan_in
        ({"weight_variance": 1.35}, None),
        ({"weight_variance": 0.0920}, ("poor_init", 0)),  # 1 / fan_in over 2.72
        ({"weight_variance": 0.0930}, None),
        ({"non_finite": 0.1}, ("non_finite", 11)),
        ({"seen": {"peak": (0.0, 0.0, 9e-6, 1.0)}}, ("dead_units", 11)),
        ({"seen": {"peak": (0.0, 0.0, 2e-5, 1.0)}}, None),
        ({"activation": "tanh", "seen": {"peak": (0.0,) * 4}}, None),
        ({"seen": {"std": 0.30}}, ("vanishing", 11)),
        ({"seen": {"std": 0.31}}, None),
        ({"seen": {"std": 3.3}}, ("exploding", 11)),
        ({"seen": {"std": 3.2}}, None),
        ({"gradient": 9e-7}, ("vanishing", 11)),
        ({"gradient": 2e6}, ("exploding", 11)),
        ({"update_ratio": 0.11}, ("unstable", 11)),
        ({"update_ratio": 9e-5}, ("stalled", 11)),
        ({"update_ratio": 2e-4}, None),
    ],
)
def test_thedeepchecker(zoo: Any, seen: dict[str, Any], heard: Any) -> None:
    assert told(zoo.thedeepchecker, layer(**seen)) == heard


def test_thedeepchecker_compares_the_first_loss_with_chance_and_stops_at_step_200(zoo: Any) -> None:
    assert told(zoo.thedeepchecker, loss=1.39) == ("poor_init", 0)
    assert told(zoo.thedeepchecker, loss=1.38) is None
    late = [replace(moment, step=moment.step + 200) for moment in history(layer(gradient=0.0))]
    assert zoo.thedeepchecker([*history(layer())[:1], *late]) is None


def test_the_earliest_counts_and_ties_go_to_the_rule_that_is_checked_first(zoo: Any) -> None:
    healthy, sick = history(layer()), history(layer(gradient=0.0, seen={"active": (0.0,) * 4}))
    alarm = zoo.sagemaker(healthy[:4] + sick[4:])
    assert (alarm.verdict, alarm.step) == ("dead_units", 4)
    poor = layer(weight_variance=0.01, gradient_p05=0.0, gradient_p95=0.0, seen={"active": (0.0,) * 4})
    assert told(zoo.sagemaker, poor) == ("poor_init", 0)


def train(rivals: Any, act: str, epochs: int = 3, **options: Any) -> list[Any]:
    model = {"_target_": "gradvitals.nets.mlp.MLP", "depth": 2, "width": 5}
    module = Classifier(model, in_features=2, act={"name": act}, **{"num_classes": 3, "task": "multiclass"} | options)
    x = torch.randn(24, 2)
    watch = sys.modules["record"].Record(every=4, first=2)
    data = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=6)
    bare_trainer(watch, max_epochs=epochs, log_every_n_steps=1).fit(module, data, data)
    assert not watch._hooks
    return watch.history


def test_a_training_fills_every_field(zoo: Any) -> None:
    moments = train(zoo, "tanh")
    assert [moment.step for moment in moments] == [0, 1, 3, 7, 11]
    assert [moment.ends_epoch for moment in moments] == [False, False, True, True, True]
    assert all(moment.classes == 3 and 0 <= moment.accuracy <= 1 and moment.loss > 0 for moment in moments)
    assert [seen.activation for seen in moments[0].layers] == ["tanh", "tanh", ""]
    assert [(seen.fan_in, seen.fan_out) for seen in moments[0].layers] == [(2, 5), (5, 5), (5, 3)]
    for seen in (seen for moment in moments for seen in moment.layers):
        numbers = [getattr(seen, each.name) for each in fields(seen) if each.name not in ("activation", "outputs")]
        assert all(map(math.isfinite, numbers))
        assert 0 < seen.update_ratio < 1
        assert seen.gradient_p05 < seen.gradient_p95
    hidden = moments[0].layers[0].outputs
    assert len(hidden.active) == len(hidden.peak) == 5
    assert all(len(shares) == 5 for shares in hidden.outside.values())


def test_the_examples_of_the_measuring_functions(zoo: Any) -> None:
    assert doctest.testmod(sys.modules["record"]).failed == 0


def test_every_rival_examines_a_training(zoo: Any) -> None:
    moments = train(zoo, "relu", epochs=1, num_classes=2, task="binary")
    assert moments[0].classes == 2
    assert [rival.name for rival in zoo.RIVALS] == [
        "SageMaker Debugger",
        "AUTOTRAINER",
        "DeepDiagnosis",
        "TheDeepChecker",
    ]
    assert all(alarm is None or alarm.step <= 3 for alarm in (rival.examine(moments) for rival in zoo.RIVALS))


def test_numbers_that_are_not_finite_are_recorded(zoo: Any) -> None:
    moments = train(zoo, "exponential", optimizer={"_target_": "torch.optim.SGD", "lr": 1e30})
    assert zoo.non_finite(moments[-1])
    assert any(seen.non_finite > 0 for seen in moments[-1].layers)
    assert zoo.sagemaker(moments).verdict in ("exploding", "unstable")


def test_a_run_that_explodes_is_heard_by_all(zoo: Any) -> None:
    moments = train(zoo, "relu", epochs=4)
    broken = [replace(moment, loss=math.nan) for moment in moments]
    assert {rival.examine(broken).verdict for rival in zoo.RIVALS} <= {"exploding", "non_finite", "poor_init"}
