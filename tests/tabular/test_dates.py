"""Dates as people write them, and what a network gets of them."""

import numpy as np
import pandas as pd
import pytest

from gradvitals.tabular.dates import date_features, date_parts, dates
from tests.tabular.files import column_file, features, kind_of, loaded, remarks

DAYS = ["2024-01-31", "2023-02-01", "1965-12-24"]  # the first decides which number is the day
WRITTEN = {
    "ISO": ("%Y-%m-%d", ["2024-01-31", "2023-02-01", "1965-12-24"]),
    "ISO without zeros": ("%Y-%m-%d", ["2024-1-31", "2023-2-1", "1965-12-24"]),
    "year first, slashes": ("%Y/%m/%d", ["2024/01/31", "2023/02/01", "1965/12/24"]),
    "year first, points": ("%Y.%m.%d", ["2024.01.31", "2023.02.01", "1965.12.24"]),
    "eight digits": ("%Y%m%d", ["20240131", "20230201", "19651224"]),
    "German": ("%d.%m.%Y", ["31.01.2024", "1.2.2023", "24.12.1965"]),
    "American": ("%m/%d/%Y", ["01/31/2024", "2/1/2023", "12/24/1965"]),
    "British": ("%d/%m/%Y", ["31/01/2024", "1/2/2023", "24/12/1965"]),
    "hyphens, day first": ("%d-%m-%Y", ["31-01-2024", "1-2-2023", "24-12-1965"]),
    "hyphens, month first": ("%m-%d-%Y", ["01-31-2024", "2-1-2023", "12-24-1965"]),
    "short month": ("%d %b %Y", ["31 Jan 2024", "1 Feb 2023", "24 Dec 1965"]),
    "short month with a point": ("%d %b %Y", ["31 Jan. 2024", "1 Feb. 2023", "24 Dec. 1965"]),
    "long month": ("%d %B %Y", ["31 January 2024", "1 February 2023", "24 December 1965"]),
    "day with a point": ("%d %B %Y", ["31. January 2024", "1. February 2023", "24. December 1965"]),
    "month first": ("%B %d %Y", ["January 31, 2024", "February 1, 2023", "December 24, 1965"]),
    "short month first": ("%b %d %Y", ["Jan 31, 2024", "FEB 1, 2023", "dec 24, 1965"]),
    "ordinals": ("%B %d %Y", ["January 31st, 2024", "February 1st, 2023", "December 24th, 1965"]),
    "weekday": ("%d %b %Y", ["Wed, 31 Jan 2024", "Wed, 01 Feb 2023", "Fri, 24 Dec 1965"]),
    "long weekday": ("%d %B %Y", ["Wednesday, 31 January 2024", "Wednesday 1 February 2023", "Friday, 24 December 1965"]),
    "hyphens and a month": ("%d-%b-%Y", ["31-Jan-2024", "01-Feb-2023", "24-Dec-1965"]),
    "slashes and a month": ("%d/%b/%Y", ["31/Jan/2024", "01/Feb/2023", "24/Dec/1965"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "column"), WRITTEN.values(), ids=WRITTEN)
def test_days_are_read(name, column):
    found = dates(pd.Series(column))
    assert found is not None
    assert (found.format, found.values.astype("datetime64[D]").astype(str).tolist(), found.ambiguous) == (
        name,
        DAYS,
        "",
    )


TWO_DIGITS = {
    "American": ["01/31/24", "02/01/23", "12/24/70"],
    "British": ["31/01/24", "01/02/23", "24/12/70"],
    "German": ["31.01.24", "1.2.23", "24.12.70"],
    "hyphens": ["31-01-24", "01-02-23", "24-12-70"],
    "short month": ["31-Jan-24", "01-Feb-23", "24-Dec-70"],
    "blanks": ["31 Jan 24", "1 Feb 23", "24 Dec 70"],
}


@pytest.mark.parametrize("column", TWO_DIGITS.values(), ids=TWO_DIGITS)
def test_years_of_two_digits(column):
    found = dates(pd.Series(column))
    assert found.values.astype("datetime64[D]").astype(str).tolist() == ["2024-01-31", "2023-02-01", "1970-12-24"]


TIMES = {
    "ISO": (["2024-01-31T22:30:00", "2024-02-01T00:05:00"], ["22:30:00", "00:05:00"]),
    "ISO and zone": (["2024-01-31T22:30:00Z", "2024-02-01T00:05:00Z"], ["22:30:00", "00:05:00"]),
    "ISO and another zone": (["2024-01-31T22:30:00+02:00", "2024-02-01T00:05:00+02:00"], ["22:30:00", "00:05:00"]),
    "blank": (["2024-01-31 22:30", "2024-02-01 00:05"], ["22:30:00", "00:05:00"]),
    "AM and PM": (["01/31/2024 10:30 PM", "02/01/2024 12:05 AM"], ["22:30:00", "00:05:00"]),
    "p.m.": (["01/31/2024 10:30:00 p.m.", "02/01/2024 12:05:00 a.m."], ["22:30:00", "00:05:00"]),
    "German": (["31.01.2024, 22:30", "1.2.2024, 0:05"], ["22:30:00", "00:05:00"]),
    "mail": (["Wed, 31 Jan 2024 22:30:00 GMT", "Thu, 01 Feb 2024 00:05:00 GMT"], ["22:30:00", "00:05:00"]),
    "log of a server": (["31/Jan/2024:22:30:00 -0700", "01/Feb/2024:00:05:00 -0700"], ["22:30:00", "00:05:00"]),
    "named zone": (["2024-01-31 22:30:00 CET", "2024-02-01 00:05:00 CET"], ["22:30:00", "00:05:00"]),
    "fractions": (["2024-01-31 22:30:00.250", "2024-02-01 00:05:00,5"], ["22:30:00.25", "00:05:00.5"]),
}


@pytest.mark.parametrize(("column", "clocks"), TIMES.values(), ids=TIMES)
def test_times_of_day_are_read(column, clocks):
    expected = [f"{day}T{clock}" for day, clock in zip(("2024-01-31", "2024-02-01"), clocks, strict=True)]
    assert dates(pd.Series(column)).values.tolist() == np.array(expected, "datetime64[us]").tolist()


@pytest.mark.parametrize(
    ("first", "second"),
    [("+02:00", "Z"), ("+0200", "UTC"), ("+02", "GMT"), (" +02:00", " +00:00"), ("+01:00", "-01:00")],
)
def test_zones_that_differ_are_taken_to_utc(first, second):
    # The two moments are one: 12:00 two hours ahead is 10:00.
    found = dates(pd.Series([f"2024-03-01T12:00{first}", f"2024-03-01T10:00{second}"])).values
    assert found[0] == found[1]


def test_an_unknown_zone_beside_others_is_no_date():
    found = dates(pd.Series(["2024-03-01 12:00 CET", "2024-03-01 12:00 UTC", "2024-03-02"]))
    assert np.isnat(found.values).tolist() == [True, False, False]


@pytest.mark.parametrize("clock", ["24:30", "25:00", "10:61", "13:00 PM", "10:30:75"])
def test_a_time_that_does_not_exist_is_no_date(clock):
    found = dates(pd.Series([f"2024-03-01 {clock}", "2024-03-01 10:30", "2024-03-02 11:00"]))
    assert np.isnat(found.values).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("column", "month_first", "day_first", "key"),
    [
        (["01/02/2024", "03/04/2024"], "2024-01-02", "2024-02-01", "%d/%m/%Y"),
        (["1/2/2024", "3/4/2024"], "2024-01-02", "2024-02-01", "%d/%m/%Y"),
        (["01/02/24", "03/04/24"], "2024-01-02", "2024-02-01", "%d/%m/%y"),
        (["01/02/2024 10:30", "12/11/2024 11:00"], "2024-01-02", "2024-02-01", "%d/%m/%Y"),
        (["01/02/2024", "12/11/2024 11:00"], "2024-01-02", "2024-02-01", "%d/%m/%Y"),
        (["01-02-2024", "03-04-2024"], "2024-01-02", "2024-02-01", "%m-%d-%Y"),
        (["01-02-24", "03-04-24"], "2024-01-02", "2024-02-01", "%m-%d-%y"),
    ],
)
def test_day_and_month_that_may_be_exchanged_are_said_and_can_be_typed(tmp_path, column, month_first, day_first, key):
    data = loaded(tmp_path, column_file(column))
    said = [text for text in remarks(data) if "the other order fits" in text]
    assert len(said) == 1
    assert f"data.date_format={key}" in said[0]
    other = key.replace("%m", "?").replace("%d", "%m").replace("?", "%d")
    orders = {name: dates(pd.Series(column), name).values[0].astype("datetime64[D]") for name in (key, other)}
    assert {str(value) for value in orders.values()} == {month_first, day_first}
    assert not [
        text for text in remarks(loaded(tmp_path, column_file(column), date_format=key)) if "other order" in text
    ]
    days = pd.Series(column)
    assert str(dates(days, day_first=True).values[0])[:10] == day_first


def test_a_file_with_decimal_commas_has_the_day_first(tmp_path):
    for sign, month in ((",", 2), (".", 1)):
        rows = "\n".join(f"01/02/2024;0{sign}5;{at}\n05/04/2024;1{sign}5;{at + 15}" for at in range(15))
        data = loaded(tmp_path, f"x;z;y\n{rows}\n", date_features="age")
        newest = {2: "2024-04-05", 1: "2024-05-04"}[month]
        expected = (np.datetime64(newest) - np.datetime64(f"2024-{month:02}-{3 - month:02}")).astype(int)
        assert data.loaded.train.x[:, 0].max() == expected


NO_DATES = {
    "eight digits": (["12345678", "87654321", "99999999"], "number"),
    "eight digits with a year": (["20241301", "20240132", "20249999"], "number"),
    "years": (["2019", "2020", "2021"], "number"),
    "German months": (["31. M\u00e4rz 2024", "1. Mai 2024", "24. Dezember 2023"], "category"),
    "French months": (["31 mars 2024", "1 mai 2024", "24 d\u00e9cembre 2023"], "category"),
    "quarters": (["2024-Q1", "2024-Q2", "2023-Q4"], "category"),
    "versions": (["1.2.3", "1.10.0", "2.0.1"], "category"),
    "times": (["10:30", "11:45", "23:59"], "category"),
    "months alone": (["Jan", "Feb", "Mar"], "category"),
    "fractions": (["1/2", "3/4", "5/8"], "category"),
    "rooms": (["12-1", "12-2", "14-3"], "category"),
}


@pytest.mark.parametrize(("column", "kind"), NO_DATES.values(), ids=NO_DATES)
def test_what_only_looks_like_a_date_is_none(tmp_path, column, kind):
    assert kind_of(loaded(tmp_path, column_file(column))) == kind


@pytest.mark.parametrize(
    "column", [["2024-01", "2024-02"], ["01/2024", "02/2024"], ["Jan 2024", "Feb 2024"], ["January 2024", "February 2024"], ["Jan-24", "Feb-24"], ["2024/01", "2024/02"]]
)  # fmt: skip
def test_months_are_dates(column):
    assert dates(pd.Series(column)).values.astype("datetime64[D]").astype(str).tolist() == ["2024-01-01", "2024-02-01"]


@pytest.mark.parametrize(
    ("typed", "text", "expected"),
    [
        ("%d.%m.%Y", "1.2.2024", "2024-02-01T00:00"),
        ("%m.%d.%Y", "1.2.2024", "2024-01-02T00:00"),
        ("%Y-%d-%m", "2024-01-02", "2024-02-01T00:00"),
        ("%d/%m/%Y", "1/2/2024 10:30", "2024-02-01T10:30"),
        ("%d/%m/%Y %H:%M", "1/2/2024 10:30", "2024-02-01T10:30"),
        ("%Y-%m-%d %H:%M:%S%z", "2024-02-01 12:30:00+02:00", "2024-02-01T10:30"),
        ("%H:%M %d/%m/%Y", "10:30 1/2/2024", "2024-02-01T10:30"),
        ("%y%m%d", "240201", "2024-02-01T00:00"),
    ],
)
def test_a_format_can_be_typed(typed, text, expected):
    assert dates(pd.Series([text]), typed).values[0] == np.datetime64(expected)


def test_a_wrong_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="data.date_format: expected a format such as %d.%m.%Y"):
        loaded(tmp_path, column_file(["1.2.2024", "3.2.2024"]), date_format="%Q")


def circle(turn: float) -> list[float]:
    return [np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        # Year, then month, weekday and hour as turns of a circle, where they differ.
        (["2023-05-01", "2024-05-06"], [[2023], [2024]]),  # two Mondays in May
        (["2024-01-01", "2024-07-01"], [circle(0), circle(6 / 12)]),  # two Mondays
        (["2024-01-01", "2024-01-04"], [circle(0), circle(3 / 7)]),  # Monday, Thursday
        (["2024-01-01 06:00", "2024-01-01 18:30"], [circle(6 / 24), circle(18.5 / 24)]),
        (["1969-01-01", "1970-04-04"], [[1969, *circle(0), *circle(2 / 7)], [1970, *circle(3 / 12), *circle(5 / 7)]]),
    ],
)
def test_parts_of_dates_by_hand(tmp_path, column, expected):
    for row, values in zip(features(tmp_path, column), expected, strict=True):
        assert row == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize(
    ("column", "ages"),
    [
        (["2024-01-01", "2024-01-31"], [30, 0]),
        (["2023-03-01", "2024-03-01"], [366, 0]),  # a leap day is between
        (["1965-01-01", "1970-01-01"], [1826, 0]),
        (["2024-01-01 00:00", "2024-01-02 12:00"], [1.5, 0]),
        (["31.12.1899", "01.01.1900"], [1, 0]),
    ],
)
def test_age_in_days_before_the_newest_training_date(tmp_path, column, ages):
    assert [age for (age,) in features(tmp_path, column, date_features="age")] == pytest.approx(ages)


@pytest.mark.parametrize("word", ["", "?", "NA", "-", "NaT", "null"])
def test_a_missing_date_gets_the_medians(tmp_path, word):
    # The same date in all other rows is the median, whichever rows are the training rows.
    column = ["2024-01-01", "2024-01-01", "2024-01-01", word]
    data = loaded(tmp_path, column_file(column))
    assert kind_of(data) == "date"
    assert features(tmp_path, column, date_features="age") == [[0.0]] * 4


def test_a_stray_string_among_dates_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected dates in column 'x'; got 'soon' in line 4"):
        loaded(tmp_path, column_file(["2024-01-01", "2024-01-02", "soon"]))


def test_missing_dates_have_no_features():
    values = np.array(["2024-01-01", "NaT"], "datetime64[us]")
    assert date_parts(values) == ("year",)
    assert np.isnan(date_features(values, "parts", ("year", "month", "hour"), "")).tolist() == [[False] * 5, [True] * 5]
    assert np.isnan(date_features(values, "age", (), "2024-01-01")).tolist() == [[False], [True]]


def test_many_different_strings_are_looked_at_once():
    assert dates(pd.Series([f"text {at} of 10:30" for at in range(1000)])) is None


def test_two_digits_mean_a_year_until_2040():
    found = dates(pd.Series(["03.05.45", "17.11.58", "30.06.72", "01.01.26", "31.12.40"]))
    assert [str(value)[:4] for value in found.values] == ["1945", "1958", "1972", "2026", "2040"]
