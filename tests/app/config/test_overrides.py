"""Overrides, and the directory names made of them."""

import pytest

from gradvitals.app.config.overrides import slug


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
