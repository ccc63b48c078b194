"""Strings that people name columns and files by, as overrides that Hydra and a shell read back."""

import random
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gradvitals.formatting import as_typed, setting

NAMES = [
    "Age",
    "val/loss",
    "",
    " ",
    " a",
    "a ",
    "Customer Name (full)",
    "a=b",
    "a#b",
    "a:b",
    "a,b",
    "[x]",
    "{x}",
    "size [m²]",
    "größe",
    "名前",
    "☃",
    "it's",
    'say "hi"',
    "back\\slash",
    "\\",
    "end\\",
    "a\\\\",
    '\\"',
    'a\\\\"b',
    "'\"",
    "${x}",
    "a ${x",
    "\\${x}",
    "\\\\${x}\\",
    "$",
    "$HOME",
    "50%",
    "a\tb",
    "a\nb",
    "true",
    "FALSE",
    "null",
    "None",
    "nan",
    "-inf",
    "1e3",
    "1.",
    ".5",
    "+1_000",
    "12",
    "007",
    "2020-01-31",
    "1-2",
    "-",
    "--x",
    "~x",
    "!x",
    "a&b;c|d",
    "<b>",
    "range(1,3)",
    "`x`",
    "a\u00a0b",
    "\ufeffid",
]


def read_back(override: str):
    """What a run gets of an override as a shell, Hydra and OmegaConf read it."""
    (word,) = shlex.split(override)
    parsed = OverridesParser.create().parse_override(word)
    assert not parsed.is_sweep_override()
    return OmegaConf.to_container(OmegaConf.create({"value": parsed.value()}), resolve=True)["value"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_back_as_it_was(name):
    assert read_back(setting("data.target", name)) == name
    assert read_back(setting("data.drop", [name, "x", name])) == [name, "x", name]


def test_any_name_is_read_back_as_it_was():
    draw = random.Random(0)
    pieces = ["a", "1", "_", "-", ".", "e", "+", *"\\\"'${}[](),:=# \t%ü/@", "${", "\\\\", '\\"', "null", "inf"]
    for _ in range(1500):
        name = "".join(draw.choices(pieces, k=draw.randint(1, 8)))
        assert read_back(setting("x", [name])) == [name], name


@pytest.mark.parametrize("name", ["Age", "val/loss", "he_normal", "x-1", "2020-01-31", "data/my-table.csv", "50%"])
def test_a_plain_name_has_no_quotes(name):
    assert as_typed(name) == name
