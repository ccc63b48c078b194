"""Rows that sum up the rows above are left out, with or without a word; levels that are called so stay."""

import pytest

from tests.tabular.tables import loaded

ROWS = [(f"s{row % 5}", row, 2 * row, 7 * row % 11) for row in range(60)]  # sums 1770, 3540


def table(tmp_path, *last: str, separator: str = ",", rows=ROWS):
    lines = ["shop,sold,got,y", *(",".join(map(str, row)) for row in rows), *last]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines).replace(",", separator) + "\n")
    return loaded(str(path), task="regression")


@pytest.mark.parametrize(
    "last",
    [
        ("Total,1770,3540,",),
        ("TOTAL:,1770,3540,300",),
        ("Summe,1770,3540,300",),
        ("Grand Total,1770,,",),
        ("Average,29.5,59,5",),
        ("Subtotal,1770,3540,", "Total,1770,3540,300"),
        ("Gesamt,,,",),
        (",1770,3540,",),
    ],
)
def test_totals_are_left_out(tmp_path, last):
    data = table(tmp_path, *last)
    assert data.description.rows == 60
    (left_out,) = data.description.left_out
    assert (left_out.rows, left_out.reason) == (len(last), "totals of the rows above")
    assert left_out.examples[0].startswith("line 62: ")


@pytest.mark.parametrize("last", ["s1,1770,3540,4", ",1770,3541,4", "totally,1,2,3", "s2,0,0,0", ",,,4"])
def test_other_last_rows_stay(tmp_path, last):
    assert table(tmp_path, last).description.rows == 61


@pytest.mark.parametrize("word", ["total", "Total", "mean", "sum", "overall"])
def test_a_level_that_is_called_so_stays(tmp_path, word):
    rows = [(word if row % 2 else "part", row, row % 7, row % 11) for row in range(60)]
    assert table(tmp_path, rows=rows).description.rows == 60


@pytest.mark.parametrize("word", ["total", "Total", "mean", "sum", "overall"])
def test_a_level_of_the_training_table_stays_in_the_last_row_of_another(tmp_path, word):
    rows = [(word if row % 2 else "part", row, row % 7, row % 11) for row in range(60)]
    trained = table(tmp_path, rows=rows)
    other = tmp_path / "other.csv"
    other.write_text(f"shop,sold,got,y\npart,1,1,1\npart,2,2,2\n{word},3,3,3\n")
    from gradvitals.data.csv import Csv

    data = Csv(str(other), "y")
    data.use(trained.preparation, test_all=True)
    assert len(data.loaded.test) == 3
