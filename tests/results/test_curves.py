"""Curves from event files and from tables, whole, torn and resumed."""

import math
import struct

import pytest

from gradvitals.results.curves import by_layer, read_curves, thin
from tests.report.made import events, record


def at(step, **values):
    return record(step, {tag.replace("__", "/"): value for tag, value in values.items()})


def test_scalars_of_event_files(tmp_path):
    events(tmp_path, at(9, train__loss=2.5), at(19, train__loss=1.5, grad_norm__total=3.0))
    assert read_curves(tmp_path) == {"train/loss": [(9, 2.5), (19, 1.5)], "grad_norm/total": [(19, 3.0)]}
    assert read_curves(tmp_path, ("train/", "val/")) == {"train/loss": [(9, 2.5), (19, 1.5)]}


def test_what_lightning_writes_is_read(tmp_path):
    """The real writer, text and pictures among the numbers."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("val/loss", 0.5, 40)
        writer.add_text("vitals/verdict", "vanishing", 50)
        writer.add_scalar("val/loss", float("nan"), 80)
    curves = read_curves(tmp_path)
    assert list(curves) == ["val/loss"]
    assert curves["val/loss"][0] == (40, 0.5)
    assert math.isnan(curves["val/loss"][1][1])


def test_a_resumed_run_counts_from_its_first_step_on(tmp_path):
    events(tmp_path, *(at(step, train__loss=1.0) for step in (10, 20, 30)), time=999)
    events(tmp_path, *(at(step, train__loss=2.0) for step in (20, 40)), at(40, test__loss=3.0), time=1000)
    assert read_curves(tmp_path) == {"train/loss": [(10, 1.0), (20, 2.0), (40, 2.0)], "test/loss": [(40, 3.0)]}


@pytest.mark.parametrize("lost", [1, 5, 20])
def test_a_torn_last_record_ends_the_reading(tmp_path, lost):
    whole = at(1, a=1.0) + at(2, a=2.0)
    events(tmp_path, whole[:-lost])
    assert read_curves(tmp_path) == {"a": [(1, 1.0)]}


def test_what_is_no_event_file_has_no_curves(tmp_path):
    events(tmp_path, struct.pack("<Q", 4) + b"crc." + b"\xff\xff\xff\xff" + b"crc.")
    assert read_curves(tmp_path) == {}


def test_a_table_where_there_are_no_event_files(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,step,val/loss,train/loss\n0,9,,2.5\n0,39,2.0,\n1,torn")
    assert read_curves(tmp_path, ("train/", "val/")) == {"train/loss": [(9, 2.5)], "val/loss": [(39, 2.0)]}


def test_no_logger_no_curves(tmp_path):
    assert read_curves(tmp_path) == {}


def test_layers_by_depth_and_what_is_no_layer_left_out():
    kinds = {f"grad_norm/{label}": [(0, i)] for i, label in enumerate(("00-01.a", "02-10.b", "total", "input"))}
    assert by_layer(kinds, "grad_norm").layers == ["00-01.a", "02-10.b"]
    assert by_layer(kinds, "update_ratio").steps == []


def test_thinning_keeps_both_ends_and_the_extremes():
    points = [(step, math.sin(step)) for step in range(1000)]
    points[500] = (500, 9.0)
    points[501] = (501, math.nan)
    points[777] = (777, -9.0)
    kept = thin(points, 50)
    assert len(kept) <= 50
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert {(500, 9.0), (777, -9.0)} <= set(kept)
    assert [step for step, _ in kept] == sorted(step for step, _ in kept)
    assert thin(points[:3], 50) == points[:3]
