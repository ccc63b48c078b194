"""Numbers as people write them."""

import numpy as np
import pandas as pd
import pytest

from gradvitals.tabular.numbers import numbers
from tests.tabular.files import ROWS, column_file, features, kind_of, loaded, remarks

WRITTEN = {
    "integers": (["1", "12", "123"], [1, 12, 123]),
    "decimal point": (["1.5", "-0.25", "3"], [1.5, -0.25, 3]),
    "no digit before the point": ([".5", "-.25", "+.125"], [0.5, -0.25, 0.125]),
    "no digit after the point": (["5.", "6.", "7.5"], [5, 6, 7.5]),
    "exponents": (["1.5e3", "2E-2", "1e+05"], [1500, 0.02, 100_000]),
    "plus sign": (["+5", "+7.5", "-1"], [5, 7.5, -1]),
    "blanks around": (["  5", "7.5  ", "\N{NO-BREAK SPACE}6"], [5, 7.5, 6]),
    "decimal comma": (["1,5", "-0,25", "3"], [1.5, -0.25, 3]),
    "decimal comma, one value": (["1,5", "2", "3"], [1.5, 2, 3]),
    "decimal comma, three decimals below 1": (["0,123", "0,456", "-0,789"], [0.123, 0.456, -0.789]),
    "decimal comma, exponent": (["1,5e3", "2,5E-1", "4"], [1500, 0.25, 4]),
    "no digit before the comma": ([",5", "-,25", "1,5"], [0.5, -0.25, 1.5]),
    "thousands by comma": (["1,234,567.5", "12,345.0", "7.0"], [1_234_567.5, 12_345, 7]),
    "thousands by point": (["1.234.567,5", "12.345,0", "7,0"], [1_234_567.5, 12_345, 7]),
    "thousands by blank": (["1 234 567.5", "12 345", "7"], [1_234_567.5, 12_345, 7]),
    "thousands by narrow blank": (["1\N{NARROW NO-BREAK SPACE}234,5", "2\N{NO-BREAK SPACE}000,0", "7,5"], [1234.5, 2000, 7.5]),
    "thousands by apostrophe": (["1'234'567.50", "12\N{RIGHT SINGLE QUOTATION MARK}345.00", "7"], [1_234_567.5, 12_345, 7]),
    "thousands by underscore": (["1_234_567", "12_345", "7"], [1_234_567, 12_345, 7]),
    "lakhs": (["12,34,567", "1,00,000", "50,000"], [1_234_567, 100_000, 50_000]),
    "dollars before": (["$5", "$1,234.50", "$0.99"], [5, 1234.5, 0.99]),
    "euros after": (["5 \N{EURO SIGN}", "1.234,50 \N{EURO SIGN}", "0,99\N{EURO SIGN}"], [5, 1234.5, 0.99]),
    "code before": (["EUR 5", "EUR 7.25", "EUR 9"], [5, 7.25, 9]),
    "code after": (["5 CHF", "7.25 CHF", "9CHF"], [5, 7.25, 9]),
    "rupees": (["\u20b95,00,000", "\u20b91,50,000", "\u20b97,500"], [500_000, 150_000, 7500]),
    "sign before the currency": (["-$5.50", "$7.00", "$-9.25"], [-5.5, 7, -9.25]),
    "percent": (["5%", "7.5 %", "-1%"], [5, 7.5, -1]),
    "some cells without the percent sign": (["5%", "7.5%", "9"], [5, 7.5, 9]),
    "kilograms": (["70 kg", "82.5kg", "64 kg"], [70, 82.5, 64]),
    "square metres": (["70 m2", "82.5 m2", "64 m2"], [70, 82.5, 64]),
    "degrees": (["-3\N{DEGREE SIGN}C", "21.5\N{DEGREE SIGN}C", "4\N{DEGREE SIGN}C"], [-3, 21.5, 4]),
    "speed": (["50 km/h", "72.5 km/h", "8 km/h"], [50, 72.5, 8]),
    "accounting": (["(5.00)", "1,234.50", "(2,000.00)"], [-5, 1234.5, -2000]),
    "accounting in dollars": (["($5.00)", "$1.50", "$(2.25)"], [-5, 1.5, -2.25]),
    "sign after": (["5.00-", "1.50", "2.25-"], [-5, 1.5, -2.25]),
    "minus sign": (["\N{MINUS SIGN}5", "\N{EN DASH}1.5", "2"], [-5, -1.5, 2]),
    "minus and a blank": (["- 5", "- 1.5", "2"], [-5, -1.5, 2]),
    "beyond 64 bits": (["100000000000000000000", "-1", "18446744073709551616"], [1e20, -1, 2.0**64]),
    "both signs beyond int64": (["18446744073709551615", "-1", "3"], [2.0**64 - 1, -1, 3]),
}  # fmt: skip


@pytest.mark.parametrize(("column", "expected"), WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_numbers_have_their_value(tmp_path, column, expected, separator):
    found = features(tmp_path, column, separator)
    assert [value for (value,) in found] == pytest.approx(expected)


OTHERS = {
    "ranges": ["1-2", "3-4", "5-6"],
    "fractions": ["12/3", "5/8", "1/2"],
    "addresses": ["192.168.100.200", "192.168.100.201", "192.168.100.202"],
    "short addresses": ["10.0.0.1", "10.0.0.2", "10.0.0.12"],
    "telephone numbers": ["+43 664 123 456", "+43 664 123 457", "+43 664 123 458"],
    "telephone numbers with a zero": ["066 123 456", "066 123 457", "066 123 458"],
    "versions": ["1.2.3", "1.10.0", "2.0.1"],
    "times": ["10:30", "11:45", "9:00"],
    "codes": ["A12", "B7", "C300"],
    "codes that end in a letter": ["10A", "10B", "11A"],
    "leading zeros": ["007", "042", "100"],
    "hexadecimal": ["0x1F", "0x2A", "0xFF"],
    "sizes": ["5 x 3", "6 x 3", "7 x 4"],
    "ordinals": ["1st", "2nd", "3rd"],
    "four digits before a blank": ["1234 567", "1235 567", "1236 567"],
    "two numbers": ["1 2", "3 4", "5 6"],
}


@pytest.mark.parametrize("column", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("separator", [",", ";"])
def test_what_only_looks_like_a_number_is_a_category(tmp_path, column, separator):
    data = loaded(tmp_path, column_file(column, separator))
    assert (kind_of(data), data.loaded.train.x.shape[1]) == ("category", len(column))


AMBIGUOUS = {
    "one comma": ["1,234", "5,678", "9,012"],
    "one comma and integers": ["1,234", "12", "7"],
    "negative": ["-1,234", "-5,678", "9,012"],
    "in dollars": ["$1,234", "$5,678", "$9,012"],
    "in percent": ["1,234 %", "5,678 %", "9,012 %"],
}


@pytest.mark.parametrize("column", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_comma_before_three_digits_is_said_and_can_be_typed(tmp_path, column):
    first = float(column[0].strip("$ %").replace(",", ""))
    data = loaded(tmp_path, column_file(column))
    assert [text for text in remarks(data) if column[0] in text and "data.decimal=comma" in text]
    assert features(tmp_path, column)[0] == [first]
    for typed in ({"decimal": "comma"}, {"thousands": "none"}, {"thousands": "point"}):
        assert features(tmp_path, column, **typed)[0] == pytest.approx([first / 1000]), typed
    for typed in ({"decimal": "point"}, {"thousands": "comma"}):
        assert features(tmp_path, column, **typed)[0] == [first], typed
        assert not [text for text in remarks(loaded(tmp_path, column_file(column), **typed)) if "data.decimal" in text]


@pytest.mark.parametrize("column", [["1.234", "5.678"], ["1.234", "7"], ["-1.234", "12.345"], ["100.000", "2.500"], ["1.234", "0.500"]])  # fmt: skip
def test_points_are_thousands_where_that_is_typed(tmp_path, column):
    assert features(tmp_path, column)[0] == pytest.approx([float(column[0])])
    if column[1] != "0.500":  # no thousand begins with a zero
        assert features(tmp_path, column, thousands="point")[0] == [float(column[0].replace(".", ""))]
        assert features(tmp_path, column, decimal="comma")[0] == [float(column[0].replace(".", ""))]


def test_a_column_of_thousands_takes_the_decimal_sign_of_the_others(tmp_path):
    # 1,234 alone is open; beside 0,5 in the same table it has a decimal comma, beside 0.5 thousands.
    for sign, expected in ((",", 1.234), (".", 1234.0)):
        rows = "\n".join(f"1,234;0{sign}5;{at}" for at in range(ROWS - 1))
        data = loaded(tmp_path, f"a;b;y\n{rows}\n2,345;7{sign}25;{ROWS}\n")
        assert data.loaded.train.x[:, 0].min() == pytest.approx(expected)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_decimal_comma_in_the_target_alone_makes_a_regression(tmp_path, separator):
    target = [f"{at},{at % 4 * 25:02}" for at in range(ROWS)]
    data = loaded(tmp_path, column_file([str(at) for at in range(ROWS)], separator, target))
    y = sorted([*data.loaded.train.y.tolist(), *data.loaded.val.y.tolist(), *data.loaded.test.y.tolist()])
    assert (data.loaded.task, y) == ("regression", [at + at % 4 * 0.25 for at in range(ROWS)])


@pytest.mark.parametrize(
    ("column", "stray"),
    [(["1.5", "2.5", "abc"], "abc"), (["1,5", "2.5", "3.5"], "1,5"), (["5%", "6%", "7 kg"], None), (["1", "2", "1-2"], "1-2"), (["1.5", "2", "12:30"], "12:30")],
)  # fmt: skip
def test_a_stray_string_among_numbers_is_named(tmp_path, column, stray):
    if stray is None:  # two units: neither is that of nearly all, so these are names
        assert kind_of(loaded(tmp_path, column_file(column))) == "category"
        return
    with pytest.raises(ValueError, match=f"expected numbers in column 'x'; got '{stray}' in line"):
        loaded(tmp_path, column_file(column))


@pytest.mark.parametrize("word", ["inf", "-inf", "Infinity", "1e999", "+inf"])
def test_infinite_numbers_are_refused_by_name(tmp_path, word):
    with pytest.raises(ValueError, match=r"expected numbers below 1e38 in column 'x'; got .* in line 4"):
        loaded(tmp_path, column_file(["1", "2", word]))


@pytest.mark.parametrize("word", ["nan", "NaN", "-nan", "NAN", "<NA>"])
def test_nan_is_missing(tmp_path, word):
    # 1 and 3 occur equally often among the training rows or not: the median is one of them or between.
    assert features(tmp_path, ["1", "1", "1", word])[3] == [1.0]


def test_the_fast_way_gives_what_the_slow_one_gives():
    # One string with a unit makes the slow way read all others.
    generator = np.random.default_rng(0)
    values = generator.normal(0, 1000, 200).round(4)
    for decimal in (".", ","):
        plain = pd.Series([repr(float(value)).replace(".", decimal) for value in values])
        fast = numbers(plain, likely=decimal)
        slow = numbers(pd.concat([plain + " kg"], ignore_index=True), likely=decimal)
        assert fast.values.tolist() == slow.values.tolist() == values.tolist()
        assert (fast.format.decimal, slow.format.decimal, slow.format.unit) == (decimal, decimal, "kg")


def test_no_strings_are_no_numbers():
    found = numbers(pd.Series([], dtype=object))
    assert (found.share, found.values.tolist()) == (0.0, [])
