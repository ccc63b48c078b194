"""The look at a table in the terminal."""

import json
from dataclasses import replace

import pytest

from gradvitals.tabular.description import ColumnDescription, LeftOutRows, Remark, TableDescription
from gradvitals.tabular.table_lines import lines
from tests.tabular.made import CHURN, HOSTILE, WIDE


def unwrapped(found):
    return " ".join(" ".join(found).split())


def test_everything_that_was_read_is_said_in_80_columns():
    found = lines(CHURN)
    text = unwrapped(found)
    for words in (
        "churn.csv: cp1252, separator ;, decimal comma",
        "rows 700 used",
        '12 rows, no value of Churn: "", ?, NA',
        "1 row, totals: Total;;;712",
        "Churn: binary (two values)",
        "classes No 514, Yes 186",
        "train 490, val 70, test 140, at random, stratified by class",
        "2 numbers, 1 left out, 1 category, 1 date: 9 features",
        "CustomerID left out another value in every row",
        "7 missing, replaced by a level of its own; one-hot",
        "Age number 18 to 93; 3 missing, replaced by the median, 38; scaled by standard deviation",
        "occurs 40 times and was read as a number; to change it: 'data.missing=[-999]'",
    ):
        assert words in text
    (setting,) = [line for line in found if len(line) > 80]  # which is not broken, so that it can be pasted
    assert setting.strip() == """'data.drop=[CustomerID,"Monthly charge incl. all taxes and fees [€]"]'"""


def test_many_columns_are_shortened_to_what_is_special():
    found = lines(WIDE)
    assert len(found) < 40
    text = unwrapped(found)
    assert "285 numbers, 15 left out, 1 date: 288 features" in text
    assert "when date" in text
    assert "x0 left out constant: 0" in text
    assert "and 290 more columns: debug=table lists all" in text
    in_full = unwrapped(lines(WIDE, full=True))
    assert "x299 number" in in_full
    assert "more columns" not in in_full


def test_many_classes_and_remarks_are_shortened():
    many = replace(
        CHURN,
        classes={f"class {i}": 10 for i in range(50)},
        remarks=tuple(Remark(f"remark {i}") for i in range(50)),
        columns=(ColumnDescription("x", "category", "level, " * 500),),
    )
    text = unwrapped(lines(many))
    assert "class 9 10 and 40 more (debug=table lists all)" in text
    assert "and 40 more: debug=table lists all" in text
    assert len(text) < 2000
    in_full = unwrapped(lines(many, full=True))
    assert in_full.count("level,") == 500
    assert "class 49 10" in in_full
    assert "remark 49" in in_full


def test_no_name_or_value_controls_the_terminal():
    column = ColumnDescription(HOSTILE, "category", HOSTILE, 1, HOSTILE, HOSTILE)
    parts = {"left_out": (LeftOutRows(1, HOSTILE, (HOSTILE,)),), "columns": (column,), "classes": {HOSTILE: 1}}
    texts = dict.fromkeys(("path", "written", "target", "task", "task_source", "split_by"), HOSTILE)
    hostile = replace(CHURN, **texts, **parts, splits={HOSTILE: 1}, remarks=(Remark(HOSTILE, f"a='{HOSTILE}'"),))
    for full in (False, True):
        assert all(line.isprintable() for line in lines(hostile, full=full))


def test_a_description_is_read_back_from_json():
    assert TableDescription.from_dict(json.loads(json.dumps(WIDE.to_dict()))) == WIDE


@pytest.mark.parametrize("values", [{}, {"path": "x"}, {**CHURN.to_dict(), "columns": [{"x": 1}]}])
def test_another_shape_is_refused(values):
    with pytest.raises(ValueError, match="expected the description of a table"):
        TableDescription.from_dict(values)
