"""Overrides, and the directory names made of them."""

import re

import pytest

from gradvitals.app.config.overrides import LONGEST, slug

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NASTY = [
    [],
    ["model=bn", "act=elu"],
    ["data.root=../../evil"],
    ["data.path=/etc/passwd"],
    ["x=.."],
    ["x=../.."],
    ["_x=/"],
    [".x=."],
    ["~callbacks.best"],
    ["+monitor.thresholds.vanishing=1e-3"],
    ["tags=[<b>;rm -rf $(HOME) `id`]"],
    ["tags=['größe','数据','a\tb','a\nb','\x1b[31m']"],
    ["x=" + "y" * 300],
    ["experiment=../../x"],
    ["experiment=-"],
    ["optimizer.lr=interval(1e-5,1)"],
    ["model.hidden=[300,100]", "seed=null"],
    ["weights=${paths.logs}/a,b=c/last.ckpt"],
    ["x={a:1,b:[2,3]}"],
    ["x=\\\\host\\share"],
    ["x=", "y=''"],
]


@pytest.mark.parametrize("typed", NASTY, ids=str)
def test_names_are_of_plain_characters_and_bounded(typed):
    name = slug(typed)
    assert NAME.fullmatch(name)
    assert len(name) <= LONGEST
    assert name[-1] not in ".-"  # such as some file systems refuse at the end


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ([], "default"),
        (["model=bn", "act=elu"], "model-bn_act-elu"),
        (["act=elu", "model=bn"], "act-elu_model-bn"),  # in the order in which it was typed
        (["experiment=vanishing", "seed=1"], "vanishing_seed-1"),
        (["optimizer.lr=1e-3"], "optimizer.lr-1e-3"),
        (["act.init=-1"], "act.init--1"),
        (["model.hidden=[300,100]"], "model.hidden-300-100"),
        (["data.path=a/b.csv"], "data.path-a-b.csv"),
        (["optimizer.lr=interval(1e-5,1)"], "optimizer.lr-interval-1e-5-1"),
        (["data.target='größe'"], "data.target-groe"),
        (["data.root=../../evil"], "data.root-evil"),
        (["~callbacks.best"], "no-callbacks.best"),
        (["paths.logs=/elsewhere", "task_name=study", "resume=x"], "default"),
    ],
)
def test_what_was_typed_is_readable(typed, name):
    assert slug(typed) == name


def test_values_that_people_compare_have_distinct_names():
    values = [
        "1e-3",
        "1e3",
        "1e-5",
        "0.1",
        "0.01",
        "1",
        "-1",
        "[300,100]",
        "[300100]",
        "[300,-100]",
        "a/b.csv",
        "c/b.csv",
        "interval(1e-5,1)",
        "null",
    ]
    assert len({slug([f"x={value}"]) for value in values}) == len(values)
