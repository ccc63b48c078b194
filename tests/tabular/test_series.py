from pathlib import Path

import numpy as np
import pytest

from gradvitals.tabular.prepared_table import fit_table, prepare_table
from gradvitals.tabular.read_csv import read_csv
from gradvitals.tabular.roles import TableOptions

SERIES = 20
OPTIONS = TableOptions("y", series="id", time="t", scaling="raw", drop=())


def rows_of(series: int = SERIES) -> list[list[object]]:
    """Returns rows id, t, x, y: series i has 1 + i % 4 steps, x is 10 i + t, y the parity of i; the newest step first."""
    return [[f"s{i}", t, 10 * i + t, ("even", "odd")[i % 2]] for i in range(series) for t in reversed(range(1 + i % 4))]


def table(folder: Path, rows, header: str = "id,t,x,y"):
    file = folder / "steps.csv"
    file.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]))
    return read_csv(file)


def test_the_steps_of_a_series_are_its_rows_by_time(tmp_path):
    found = fit_table(table(tmp_path, rows_of()), OPTIONS, "steps.csv")
    assert found.series.lengths.tolist() == [1, 2, 3, 4] * 5
    for number, rows in enumerate(found.series.rows):
        assert found.x[rows, 0].tolist() == [10 * number + t for t in range(1 + number % 4)]
    assert [column.name for column in found.preparation.columns] == ["x"]  # neither the series nor its time


def test_a_series_is_in_one_split_and_the_splits_have_their_shares_of_the_series(tmp_path):
    found = fit_table(table(tmp_path, rows_of()), OPTIONS, "steps.csv")
    whole = [found.series.within(part) for part in found.parts]
    assert [len(part) for part in whole] == [14, 2, 4]
    assert sorted(np.concatenate(whole)) == list(range(SERIES))
    for series, rows in zip(whole, found.parts, strict=True):
        assert sorted(found.series.rows_of(series)) == sorted(rows)
        assert (series % 2).sum() * 2 == len(series)  # classes have equal shares
    assert found.description.split_by == "by series of 'id': 14, 2, 4 of 20"


def test_scales_are_those_of_the_training_series(tmp_path):
    rows = [[f"s{i}", t, 10 * i + t, 100 * i] for i in range(SERIES) for t in range(1 + i % 4)]
    found = fit_table(table(tmp_path, rows), TableOptions("y", "regression", series="id", time="t"), "steps.csv")
    train = found.series.within(found.parts.train)
    x = np.array([10 * i + t for i in train for t in range(1 + i % 4)])
    y = 100 * train  # a series counts once, however many steps it has
    first = found.series.first
    np.testing.assert_allclose(found.x[first, 0], (10 * np.arange(SERIES) - x.mean()) / x.std(), rtol=1e-5)
    np.testing.assert_allclose(found.y[first], (100 * np.arange(SERIES) - y.mean()) / y.std(), rtol=1e-6)


def test_a_target_in_one_row_is_that_of_the_series(tmp_path):
    rows = [[*row[:3], row[3] if row[1] == 0 else ""] for row in rows_of()]
    found = fit_table(table(tmp_path, rows), OPTIONS, "steps.csv")
    assert len(found.x) == len(rows)
    assert found.y[found.series.first].tolist() == [0, 1] * 10


def test_series_without_a_target_are_left_out(tmp_path):
    rows = [row for row in rows_of() if row[0] != "s3"] + [["s3", t, 30 + t, ""] for t in range(4)]
    found = fit_table(table(tmp_path, rows), OPTIONS, "steps.csv")
    assert "s3" not in found.series.names
    assert [(each.rows, each.reason) for each in found.description.left_out] == [(4, "without a value of 'y'")]


def test_times_may_be_dates(tmp_path):
    rows = [[i, f"{1 + t}.{1 + i % 4}.2024", t, ("even", "odd")[i % 2]] for i in range(SERIES) for t in (2, 0, 13)]
    found = fit_table(table(tmp_path, rows), OPTIONS, "steps.csv")
    assert all(found.x[steps, 0].tolist() == [0, 2, 13] for steps in found.series.rows)


def test_another_table_is_prepared_as_the_training_table(tmp_path):
    fitted = fit_table(table(tmp_path, rows_of()), TableOptions("y", series="id", time="t"), "steps.csv")
    other = [["new", 1, 7, "odd"], ["new", 0, 5, "odd"]]
    options = TableOptions("y", series="id", time="t")
    found = prepare_table(table(tmp_path, other), fitted.preparation, options, "new.csv", test_all=True)
    x = np.array([10 * i + t for i in fitted.series.within(fitted.parts.train) for t in range(1 + i % 4)])
    np.testing.assert_allclose(found.x[found.series.rows[0], 0], (np.array([5, 7]) - x.mean()) / x.std(), rtol=1e-5)
    assert found.series.within(found.parts.test).tolist() == [0]


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([*rows_of(), ["s1", 0, 9, "odd"]], {}, "data.time=t: expected each time once in a series; got '0' twice in "),
        (
            [*rows_of(), ["s1", 7, 9, "even"]],
            {},
            "data.target=y: .* one value in each series; got 'odd' in line .* 's1'",
        ),
        (rows_of(), {"series": "name"}, "data.series: expected a column of the table, .*; got 'name'"),
        (rows_of(), {"time": "day"}, "data.time: expected a column of the table, .*; got 'day'"),
        (
            rows_of(),
            {"time": "y"},
            "data.series, data.time and data.target: expected three different columns; got id, y",
        ),
        (
            rows_of(4),
            {},
            r"data: expected enough rows for 2 or more each .*\(a series counts as one row; there are 4\)",
        ),
        ([[*row[:1], f"at {row[1]}", *row[2:]] for row in rows_of()], {}, "data.time=t: expected dates or numbers"),
    ],
)
def test_what_cannot_be_series_says_what_was_expected(tmp_path, rows, options, words):
    known = {"series": "id", "time": "t", **options}
    with pytest.raises(ValueError, match=words):
        fit_table(table(tmp_path, rows), TableOptions("y", **known), "steps.csv")
