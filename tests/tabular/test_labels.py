"""Names of classes and levels: which spellings are one, and their order."""

import pandas as pd
import pytest

from gradvitals.tabular.labels import as_strings, canonical, ordered
from tests.tabular.tables import cycled, described, loaded, normal, offers, remarks, typed, write


@pytest.mark.parametrize(
    "spellings", [("Yes", "yes "), ("a  b", "a b"), ("1", "1.0"), ("-0.50", "-0.5"), ("STRASSE", "straße"), ("É", "é")]
)
def test_spellings_of_one_name(spellings):
    assert len(set(map(canonical, spellings))) == 1


@pytest.mark.parametrize("names", [("7", "007"), ("a", "á"), ("yes", "yes."), ("1", "1a"), ("1e3", "1000"), ("-", "")])
def test_different_names(names):
    assert len(set(map(canonical, names))) == 2


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["10", "9", "1.5"], ["1.5", "9", "10"]),
        (["Yes", "No"], ["No", "Yes"]),
        (["oui", "non"], ["non", "oui"]),
        (["T", "F"], ["F", "T"]),
        (["b", "A", "c"], ["A", "b", "c"]),
        (["spam", "ham"], ["ham", "spam"]),
    ],
)
def test_order(names, order):
    assert ordered(names) == order


@pytest.mark.parametrize(
    ("column", "strings"),
    [
        (pd.Series([1.0, None, 2.5]), ["1", "", "2.5"]),
        (pd.Series([1, 2], dtype="Int64"), ["1", "2"]),
        (pd.Series([True, False, None], dtype="boolean"), ["True", "False", ""]),
        (pd.Series(["a", " b ", None], dtype="category"), ["a", "b", ""]),
        (pd.Series([None, "x"], dtype=object), ["", "x"]),
        (pd.Series([pd.NaT, pd.Timestamp("2024-01-02")]), ["", "2024-01-02 00:00:00"]),
        (pd.Series([1e20, 0.1]), ["1e+20", "0.1"]),
    ],
)
def test_typed_columns_as_strings(column, strings):
    assert as_strings(column).tolist() == strings


@pytest.mark.parametrize(
    "levels", [("red", "Red"), ("red", "RED "), ("dark red", "dark  red"), ("Größe", "größe"), ("o'k", "O'K")]
)
def test_levels_that_differ_by_blanks_or_case_are_one(tmp_path, levels):
    path = write(tmp_path, {"c": cycled([*levels, "blue"]), "x": normal(), "y": cycled([0, 1, 0, 0])})
    data = loaded(path)
    assert described(data, "c")[1].startswith("2 levels")
    if levels[0] != levels[1].strip():
        (remark,) = [each for each in remarks(data) if "is one level" in each]
        assert described(loaded(path, **typed(offers(remark))), "c")[1].startswith("3 levels")
