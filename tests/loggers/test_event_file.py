"""An event file read back by TensorBoard's own reader and by somebody else's gives the numbers of ``vitals.json``."""

from __future__ import annotations

import json
import re
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from gradvitals.callbacks.vitals_content import LAYER_NUMBERS

Curves = dict[str, list[float]]  # tag -> values by step
SHORT = ("act=sigmoid", "trainer.max_epochs=2", "monitor.every_n_steps=20", "callbacks.picture=null")


def events(run: Path) -> EventAccumulator:
    return EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def by_tensorboard(run: Path) -> Curves:
    read = events(run)
    return {tag: [point.value for point in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def by_tbparse(run: Path) -> Curves:
    tbparse = pytest.importorskip("tbparse")
    with warnings.catch_warnings(action="ignore"):  # it calls what pandas deprecates
        table = tbparse.SummaryReader(str(run), event_types={"scalars"}).scalars
    return {str(tag): rows.sort_values("step")["value"].tolist() for tag, rows in table.groupby("tag")}


def vitals(run: Path) -> dict[str, Any]:
    return json.loads((run / "vitals.json").read_text())


def ends(run: Path) -> dict[str, tuple[float, float]]:
    """Tag -> the first and the last number, as ``vitals.json`` has them."""
    content = vitals(run)
    pairs = {"grad_norm/input": content["input_grad_norm"], "grad_norm/total": content["total_grad_norm"]}
    pairs |= {f"clip/{kind}": pair for kind, pair in content["clip"].items()}
    for layer in content["layers"]:
        pairs |= {f"{kind}/{layer['index']:02}.{layer['name']}": layer[kind] for kind in LAYER_NUMBERS}
    return {tag: (pair["start"], pair["end"]) for tag, pair in pairs.items() if pair["start"] is not None}


def layouts(run: Path) -> list[Layout]:
    found = events(run).Tensors("custom_scalars__config__")
    return [Layout.FromString(event.tensor_proto.string_val[0]) for event in found]


def test_two_readers_find_the_numbers_of_vitals_json(train_here):
    run = train_here("model.depth=3", "clip=norm", "clip.val=0.5", *SHORT)
    expected = ends(run)
    assert {tag.partition("/")[0] for tag in expected} == {*LAYER_NUMBERS, "clip"}  # none is left out
    for read in (by_tensorboard, by_tbparse):
        curves = read(run)
        for tag, pair in expected.items():
            found = np.float32([curves[tag][0], curves[tag][-1]])
            np.testing.assert_array_equal(found, np.float32(pair), err_msg=f"{read.__name__}: {tag}")
        assert np.float32(curves["vitals/severity"]) == [np.float32(vitals(run)["severity"])]


def test_the_metrics_of_hparams_are_curves(train_here):
    run = train_here("model.depth=3", *SHORT)
    read = events(run)
    content = read.summary_metadata["_hparams_/experiment"].plugin_data.content
    experiment = HParamsPluginData.FromString(content).experiment
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert metrics == ["val/acc", "vitals/severity"]
    assert set(metrics) <= set(read.Tags()["scalars"])
    names = {info.name for info in experiment.hparam_infos}
    assert {"model", "act", "init", "model.depth", "optimizer.lr", "tags"} <= names


def test_a_deep_net_is_logged_by_block_and_laid_out_so(train_here):
    run = train_here("model.depth=9", "model.width=8", "monitor.max_layers=4", *SHORT)
    assert len(vitals(run)["layers"]) == 10
    tags = events(run).Tags()["scalars"]
    blocks = sorted(tag for tag in tags if re.match("activation_grad_norm/[0-9]", tag))
    assert [tag.partition("/")[2].partition(".")[0] for tag in blocks] == ["00-02", "03-04", "05-07", "08-09"]
    (layout,) = layouts(run)
    charts = layout.category[0].chart
    assert len(charts) >= 4
    for chart in charts:
        for pattern in chart.multiline.tag:
            assert len([tag for tag in tags if re.match(pattern, tag)]) >= 3  # none is empty


def test_a_resumed_run_is_laid_out_once(train_here):
    run = train_here("model.depth=3", *SHORT)
    time.sleep(1)  # files of one second are read in the order of their names, not of their making
    train_here("model.depth=3", f"ckpt_path={run}/checkpoints/last.ckpt", *SHORT, "trainer.max_epochs=4")
    assert len(list(run.glob("events.out.tfevents.*"))) > 1
    assert len(layouts(run)) == 1
    for tag, pair in ends(run).items():
        curve = by_tensorboard(run)[tag]
        assert np.float32([curve[0], curve[-1]]).tolist() == np.float32(pair).tolist(), tag
