"""Cells that mean a missing value."""

import numpy as np
import pandas as pd
import pytest

from gradvitals.tabular.missing import MissingWords, sentinels
from tests.tabular.files import column_file, features, kind_of, loaded, remarks

SIGNS = [
    "",
    "?",
    "-",
    "--",
    ".",
    "..",
    "nan",
    "NaN",
    "#N/A",
    "#DIV/0!",
    "#NV",
    "<NA>",
    "\N{EN DASH}",
    "(null)",
    "\\N",
    ":",
]
WORDS = ["NA", "n/a", "None", "NULL", "null", "N.A.", "nil", "missing"]


@pytest.mark.parametrize("word", [*SIGNS, *WORDS])
@pytest.mark.parametrize("separator", [",", ";"])
def test_a_missing_number_becomes_the_training_median(tmp_path, word, separator):
    # Of 5, 5, 5 and a gap the median is 5, whichever rows are the training rows.
    data = loaded(tmp_path, column_file(["5", "5", "5", word], separator))
    assert kind_of(data) == "number"
    assert features(tmp_path, ["5", "5", "5", word], separator) == [[5.0]] * 4


@pytest.mark.parametrize("word", SIGNS[1:])
def test_missing_is_a_level_of_a_category(tmp_path, word):
    data = loaded(tmp_path, column_file(["red", "blue", word]))
    assert (kind_of(data), data.loaded.train.x.shape[1]) == ("category", 3)  # blue, red, missing
    description = next(column for column in data.description.columns if column.name == "x")
    assert description.missing == 10


@pytest.mark.parametrize("word", ["-999", "-9999.0", "-99999", "-999.00", "9999", "999999"])
def test_a_number_of_nines_far_from_all_others_is_missing_and_said(tmp_path, word):
    column = ["5", "5", "6", word, "5", "4"]
    data = loaded(tmp_path, column_file(column))
    shown = f"{float(word):.0f}"
    assert f"x: {shown} was taken for missing; to change it: 'data.missing=[]'" in remarks(data)
    assert features(tmp_path, column)[3] == [5.0]
    assert features(tmp_path, column, missing=[])[3] == [float(word)]
    assert not [
        text for text in remarks(loaded(tmp_path, column_file(column), missing=[])) if "taken for missing" in text
    ]


def test_several_numbers_of_nines_are_said_together(tmp_path):
    data = loaded(tmp_path, column_file(["5", "5", "6", "-999", "-9999", "4"]))
    assert "x: -999 and -9999 was taken for missing; to change it: 'data.missing=[]'" in remarks(data)
    assert features(tmp_path, ["5", "5", "6", "-999", "-9999", "5"])[3:5] == [[5.0], [5.0]]


LEGITIMATE = {
    "a wide range": [-5000.0, -999, -999, 3000, 120],
    "once": [5.0, 6, -999, 7],
    "others are near": [-1200.0, -999, -999, -800, -1100],
    "a ninety-nine among percentages": [99.0, 99, 99, 98, 12],
    "a positive one, near": [9999.0, 9999, 9999, 8000, 200],
    "nothing else": [-999.0, -999, -999],
    "no nines": [-998.0, -998, 5, 6],
    "degrees": [-99.0, -99, 60, 20, -40],
}


@pytest.mark.parametrize("values", LEGITIMATE.values(), ids=LEGITIMATE)
def test_a_legitimate_number_of_nines_is_a_number(values):
    assert sentinels(np.array(values)) == ()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0, 6, -99, -99], (-99,)),
        ([10_000.0, 0, -999, -999, 300], (-999,)),  # negative, where all others are not
        ([0.1, 0.2, -9999, -9999, np.nan], (-9999,)),
        ([3.0, 6, 999, 999, 999, 12], (999,)),
        ([5.0, 6, -99999, -99999, -999, -999], (-999, -99999)),
    ],
)
def test_sentinels_by_hand(values, expected):
    assert sentinels(np.array(values)) == expected


@pytest.mark.parametrize(
    ("typed", "column", "absent"),
    [
        (["unknown", "-1"], ["Unknown", "-1", "-1.0", "1", "3"], [1, 1, 1, 0, 0]),
        (["-999"], ["-999", "-999.00", "-999,0", "999", "-99"], [1, 1, 1, 0, 0]),
        (["0"], ["0", "0.0", "00", "10", "?"], [1, 1, 1, 0, 1]),
        (["none given"], ["None Given", "none", "none given ", "given", "NA"], [1, 1, 1, 0, 1]),
        ([], ["-999", "?", "", "x", "NULL"], [0, 1, 1, 0, 1]),
        (["*"], ["*", "**", "1*", "*", "5"], [1, 0, 0, 1, 0]),
        (["2,5"], ["2.5", "2,5", "2,50", "25", "2"], [1, 1, 1, 0, 0]),
    ],
)
def test_typed_words_and_numbers(typed, column, absent):
    assert MissingWords(tuple(typed)).absent(pd.Series(column)).tolist() == list(map(bool, absent))


def test_a_word_may_be_a_level():
    column = pd.Series(["NA", "none", "?", "red", ""])
    assert MissingWords().absent(column).tolist() == [True, True, True, False, True]
    assert MissingWords().absent(column, words=False).tolist() == [False, False, True, False, True]


@pytest.mark.parametrize("typed", [[-999], ["-999"], [-999.0], "-999", -999])
def test_a_number_is_typed_in_any_way(tmp_path, typed):
    assert features(tmp_path, ["5", "5", "5", "-999"], missing=typed)[3] == [5.0]
    assert features(tmp_path, ["5,5", "5,5", "5,5", "-999,0"], ";", missing=typed)[3] == [5.5]


def test_the_index_is_kept():
    assert MissingWords().absent(pd.Series(["?", "1"], index=[7, 9])).to_dict() == {7: True, 9: False}


@pytest.mark.parametrize("nines", [9999.9, -999.9, 99999.99, -9999.0])
def test_nines_with_decimals_are_sentinels(nines):
    assert sentinels(np.array([3.1, 4.2, nines, 5.0, nines, 2.2, nines])) == (nines,)
