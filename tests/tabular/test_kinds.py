"""The kind of each column: numbers, names, dates, identifiers, and what is said about them."""

import resource
import tracemalloc

import numpy as np
import pytest
import torch

from tests.tabular.tables import cycled, described, followed, loaded, normal, offers, remarks, typed, write

CLASSES = cycled(["a", "b"])
SORTED = ["a"] * 30 + ["b"] * 30


def table(tmp_path, values, name="c", y=CLASSES):
    return write(tmp_path, {"x": normal(len(values)), name: values, "y": y})


def every_x(data) -> torch.Tensor:
    splits = data.loaded
    return torch.cat([splits.train.x, splits.val.x, splits.test.x])


@pytest.mark.parametrize(
    ("values", "kind", "detail"),
    [
        (["", "z"], "category", "1 level: z 30"),
        (["True", "False", ""], "category", "2 levels: False 20, True 20"),
        (["yes", "no", "?"], "category", "2 levels: no 20, yes 20"),
        ([1, 0, ""], "number", "0 to 1"),
        (["1,5", "2,5", "NA"], "number", "1.5 to 2.5, decimal comma"),
        (["01067", "80331", "20095"], "category", "3 levels: 01067 20, 20095 20, 80331 20"),
        (["007", "12", "012"], "category", "3 levels"),
        (["NA", "EU", "AS"], "category", "3 levels: AS 20, EU 20, NA 20"),
        (["None", "Attic", ""], "category", "2 levels: Attic 20, None 20"),
        (["18-25", "26-35", "36+"], "category", "3 levels"),
        (["2024-01-31", "2023-05-01", ""], "date", "2023-05-01 to 2024-01-31"),
        (["5 kg", "7 kg", "6 kg"], "number", "5 to 7, in kg"),
        (["a,b", 'c"d', "e\nf"], "category", "3 levels"),
    ],
)
def test_kinds(tmp_path, values, kind, detail):
    found = described(loaded(table(tmp_path, cycled(values))), "c")
    assert found[0] == kind
    assert found[1].startswith(detail)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([5] * 60, "always '5'"),
        (["same"] * 60, "always 'same'"),
        ([""] * 60, "no value"),
        (["NA"] * 60, "no value"),
        (["?", "-"] * 30, "no value"),
    ],
)
def test_constant_and_empty_columns_are_left_out(tmp_path, values, reason):
    assert described(loaded(table(tmp_path, values)), "c") == ("left out", reason)


@pytest.mark.parametrize(
    "name", ["", "Unnamed: 0", "index", "id", "rowid", "customer_id", "CustomerID", "order no", "key"]
)
def test_numbers_of_the_row_and_identifiers_are_left_out(tmp_path, name):
    data = loaded(table(tmp_path, range(1000, 1060), name))
    kinds = [column.kind for column in data.description.columns]
    assert kinds == ["number", "left out", "target"]
    assert data.loaded.train.x.shape[1] == 1


def test_row_names_of_r_are_left_out(tmp_path):
    path = tmp_path / "r.csv"
    rows = [f'"{row + 1}",{value},"{label}"' for row, (value, label) in enumerate(zip(normal(), CLASSES, strict=True))]
    path.write_text("\n".join(['"x","y"', *rows]) + "\n")
    assert loaded(str(path)).loaded.train.x.shape[1] == 1


@pytest.mark.parametrize("name", ["num_rooms", "number_of_visits", "no_claims", "valid", "kidney", "row_width"])
def test_quantities_with_names_like_identifiers_are_used(tmp_path, name):
    values = np.random.default_rng(0).permutation(1000)[:60].tolist()
    assert described(loaded(table(tmp_path, values, name)), name)[0] == "number"


@pytest.mark.parametrize("name", ["id", "invoice_num", "customerId", "serial key", "row"])
def test_an_identifier_that_may_be_a_quantity_is_a_remark(tmp_path, name):
    path = table(tmp_path, np.random.default_rng(0).permutation(1000)[:60].tolist(), name)
    (remark,) = remarks(loaded(path))
    assert described(loaded(path, **typed(offers(remark))), name)[0] == "number"


@pytest.mark.parametrize(
    ("values", "y"),
    [
        (list(range(60)), SORTED),
        ([f"P{row:04d}" for row in range(60)], SORTED),
        (list(range(60, 0, -1)), SORTED),
        (list(range(60)), [f"{row + value:.2f}" for row, value in enumerate(np.sin(range(60)))]),
        ([f"c-{row}" for row in range(60)], [f"{row + value:.2f}" for row, value in enumerate(np.sin(range(60)))]),
    ],
)
def test_an_identifier_that_predicts_the_target_is_a_remark(tmp_path, values, y):
    data = loaded(table(tmp_path, values, "id", y))
    assert described(data, "id")[0] == "left out"
    assert any(each.startswith("id: left out, though it would predict the target") for each in remarks(data))


@pytest.mark.parametrize("name", ["order", "day", "t", "sample", "position"])
def test_a_used_column_that_numbers_sorted_rows_is_a_remark(tmp_path, name):
    path = table(tmp_path, range(60), name, SORTED)
    (remark,) = remarks(loaded(path))
    assert remark.startswith(f"{name}: numbers the rows, which are sorted by class")
    assert remarks(loaded(path, **typed(offers(remark)))) == []


def test_shuffled_identifiers_are_no_remark(tmp_path):
    assert remarks(loaded(table(tmp_path, range(60), "id"))) == []


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"numeric": ["id"]}, "number"), ({"categorical": ["id"]}, "category"), ({"numeric": "id"}, "number")],
)
def test_a_typed_column_is_used_all_the_same(tmp_path, options, kind):
    assert described(loaded(table(tmp_path, range(60), "id"), **options), "id")[0] == kind


def test_typed_kinds_win(tmp_path):
    codes = [f"{code:04d}" for code in range(60)]
    assert described(loaded(table(tmp_path, codes), numeric=["c"]), "c") == ("number", "0 to 59")
    assert described(loaded(table(tmp_path, ["7"] * 60), numeric=["c"]), "c")[0] == "number"
    assert described(loaded(table(tmp_path, cycled([2019, 2020])), dates=["c"], date_format="%Y"), "c")[0] == "date"
    assert described(loaded(table(tmp_path, cycled([1, 2, 3])), categorical=["c"]), "c")[1].startswith("3 levels")
    free = [f"text {row}" for row in range(60)]
    assert described(loaded(table(tmp_path, free), categorical=["c"]), "c")[0] == "category"


@pytest.mark.parametrize(
    "copy", [lambda y: y, str.upper, {"a": "0", "b": "1"}.get, {"a": "left", "b": "right"}.get, lambda y: f" {y} "]
)
def test_a_copy_of_the_class_is_a_remark(tmp_path, copy):
    path = table(tmp_path, list(map(copy, CLASSES)))
    found = [each for each in remarks(loaded(path)) if "determines the target in every row" in each]
    assert len(found) == 1
    assert remarks(loaded(path, **typed(offers(found[0])))) == []


@pytest.mark.parametrize("factor", [1, 1000, -1, 2.2046, 0.001])
def test_a_copy_of_the_quantity_is_a_remark(tmp_path, factor):
    y = normal(seed=1)
    (remark,) = remarks(loaded(table(tmp_path, [float(value) * factor for value in y], y=y)))
    assert remark.startswith("c: determines the target in every row")


@pytest.mark.parametrize("far", [[1e9], [1e9, -5e8], [1e30], [99999], [-12345.6]])
def test_outliers_are_a_remark_and_robust_scaling_clips_them(tmp_path, far):
    path = table(tmp_path, [*normal(60 - len(far), 3), *far])
    (remark,) = remarks(loaded(path))
    assert remark.startswith(f"c: {len(far)} far beyond the rest")
    data = loaded(path, **typed(offers(remark)))
    assert remarks(data) == []
    column = every_x(data)[:, 1].abs()
    assert column.max() == 10
    assert 0.1 < column.median() < 1


def test_a_column_without_a_value_in_training_rows(tmp_path):
    for row in range(8):
        values = [""] * 60
        values[row] = "3.5"
        assert torch.isfinite(every_x(loaded(table(tmp_path, values)))).all()


STRAY = [*normal(58), "abc", "n/k"]
REFUSED = {
    "one word": ({"c": [*normal(59), "abc"]}, {}, "got 'abc' in line 61"),
    "two columns": ({"c": STRAY, "d": STRAY[::-1]}, {}, "in column 'c'; got 'abc' in line 60; numbers in column 'd'"),
    "many words": ({"c": [*normal(40), *(f"w{row}" for row in range(20))]}, {}, "got 'w0' in line 42"),
    "infinite": ({"c": [*normal(59), "inf"]}, {}, "below 1e38 in column 'c'; got inf in line 61"),
    "too large": ({"c": [*normal(58), "1e39", "-1e300"]}, {}, "below 1e38 in column 'c'; got 1e39 in line 60"),
    "typed numeric": ({"c": cycled(["low", "high"])}, {"numeric": ["c"]}, "got 'low' in line 2"),
    "typed dates": ({"c": cycled(["soon", "late"])}, {"dates": ["c"]}, "expected dates in column 'c'"),
    "dates and a word": (
        {"c": [*cycled(["2024-01-02", "2024-02-03"], 59), "soon"]},
        {},
        "expected dates in column 'c'",
    ),
    "typed missing": ({"c": STRAY}, {"missing": ["abc"]}, "got 'n/k' in line 61"),
    "typed categorical": ({"c": STRAY, "d": cycled([1, 2])}, {"categorical": ["d"]}, "got 'abc'"),
    "typed drop": ({"c": STRAY, "d e": normal()}, {"drop": ["d e"]}, "got 'abc'"),
    "brackets": ({"price [€]": STRAY, "it's, so": STRAY}, {}, "got 'abc'"),
    "hostile strings": ({"c": [*normal(58), 'it\'s "x"', "a=b, [c]"]}, {}, "in line 60"),
    "true and null": ({"c": [*normal(58), "true", "12a"]}, {}, "got 'true' in line 60"),
    "sentinels elsewhere": ({"c": STRAY, "d": [*range(50), *[-999] * 10]}, {}, "got 'abc'"),
    "only identifiers": ({"x": [f"n{row}" for row in range(60)]}, {}, "to learn from; got none"),
    "only numbers of rows": ({"x": range(60), "id": range(60)}, {"drop": ["x"]}, "to learn from; got none"),
    "all dropped": ({"c": normal()}, {"drop": ["x", "c"]}, "to learn from; got none"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_offers_ways_that_work(tmp_path, name):
    columns, options, words = REFUSED[name]
    path = write(tmp_path, {"x": normal(), "y": CLASSES, **columns})
    with pytest.raises(ValueError, match="data") as caught:
        loaded(path, **options)
    message = str(caught.value)
    assert words in message
    ways = followed(path, "y", message, options)
    assert len(ways) == len(offers(message)) >= 1
    for way in ways:  # what was typed is kept
        assert all(set(options[key]) <= set(way[key]) or (key == "drop" and way[key] == []) for key in options)


def test_what_was_found_is_kept_by_the_offer(tmp_path):
    path = write(tmp_path, {"c": STRAY, "d": [*range(50), *[-999] * 10], "y": CLASSES})
    with pytest.raises(ValueError, match="data: expected numbers") as caught:
        loaded(path)
    missing = next(typed([offer]) for offer in offers(str(caught.value)) if "missing" in offer)
    assert set(map(str, missing["missing"])) == {"-999", "abc", "n/k"}
    assert described(loaded(path, **missing), "d") == ("number", "0 to 49")


@pytest.fixture(scope="module")
def many_levels(tmp_path_factory):
    """A file of 0.4 MB with some 12,600 levels in each of three columns."""
    generator = np.random.default_rng(0)
    columns = {name: [f"{name}{level}" for level in generator.integers(0, 20_000, 20_000)] for name in "abc"}
    return write(tmp_path_factory.mktemp("levels"), {**columns, "y": cycled([0, 1], 20_000)})


def test_rare_levels_share_one(many_levels):
    tracemalloc.start()
    data = loaded(many_levels, categorical=["a", "b", "c"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    assert data.loaded.train.x.shape[1] == 3 * 101
    assert (data.loaded.train.x.sum(1) == 3).all()
    assert len([each for each in remarks(data) if "the 100 most frequent are used" in each]) == 3
    assert not any(offers(each) for each in remarks(data))  # all levels would not fit into memory


def test_too_many_levels_are_refused_before_memory_is_used(many_levels):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    with pytest.raises(ValueError, match="one-hot features of at most 512 MiB") as caught:
        loaded(many_levels, categorical=["a", "b", "c"], max_levels=20_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000
    (offer,) = offers(str(caught.value))
    assert 3 * 20_000 * 4 * typed([offer])["max_levels"] <= 2**29


def test_few_levels_more_than_the_most_can_be_asked_for(tmp_path):
    path = write(tmp_path, {"c": cycled([f"l{level}" for level in range(120)], 600), "y": cycled([0, 1, 1], 600)})
    (remark,) = [each for each in remarks(loaded(path)) if "120 levels" in each]
    assert loaded(path, **typed(offers(remark))).loaded.train.x.shape[1] == 120


def test_many_columns(tmp_path):
    columns = {f"c{at}": normal(20, at) for at in range(500)} | {f"d{at}": cycled(["u", "v"], 20) for at in range(500)}
    data = loaded(write(tmp_path, {**columns, "y": cycled([0, 1, 1, 0], 20)}))
    assert data.loaded.train.x.shape[1] == 1500


def test_numbers_that_lack_the_unit_of_others_are_a_remark(tmp_path):
    percent = [f"{at}%" if at % 2 else str(at / 100) for at in range(60)]
    data = loaded(write(tmp_path, {"p": percent, "y": ["a", "b"] * 30}))
    assert any("30 numbers lack the % that others have" in text for text in remarks(data))


def test_a_first_line_that_is_a_row_is_suspected(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(f"{at / 7:.3f},{'ab'[at % 2]}" for at in range(60)))
    with pytest.raises(ValueError, match=r"If the first line is a row, set data.header=false"):
        loaded(path, "y")
    assert loaded(path, 1, header=False).loaded.task == "binary"


@pytest.mark.parametrize(
    ("cells", "separator", "detail"),
    [
        (["950", "1.250", "880", "12.400", "2.100"], ";", "880 to 12,400"),
        (["100.000", "900.000", "250.000"], ";", "100,000 to 900,000"),
        (["950", "1.250", "880"], ",", "1.25 to 950"),
        (["0.250", "1.250", "12.400"], ";", "0.25 to 12.4"),
        (["1.250.000", "2.500"], ",", "2,500 to 1,250,000"),
    ],
)
def test_points_between_thousands(tmp_path, cells, separator, detail):
    data = loaded(write(tmp_path, {"c": cycled(cells), "y": CLASSES}, separator))
    assert described(data, "c")[1].startswith(detail)
    is_open = detail in ("880 to 12,400", "100,000 to 900,000")
    assert any("was read with decimal comma" in text for text in remarks(data)) == is_open


@pytest.mark.parametrize(
    "cells", [["5 \u20ac", "EUR 8", "12\u20ac"], ["US$12", "$7.50", "USD 5"], ["$1", "USD 2", "3 USD"]]
)
def test_names_of_one_currency_are_one_unit(tmp_path, cells):
    data = loaded(write(tmp_path, {"c": cycled(cells), "y": CLASSES}))
    assert described(data, "c")[0] == "number"


@pytest.mark.parametrize("word", ["Subtotal", "Gesamt", "Summe", "total", "Average"])
def test_sums_between_the_rows_are_a_remark(tmp_path, word):
    data = loaded(write(tmp_path, {"month": cycled(["a", "b", "c", word, "d"]), "x": normal(), "y": CLASSES}))
    assert any(f"'{word}' in 12 rows, which may sum up others" in text for text in remarks(data))


@pytest.mark.parametrize("name", ["patient", "customer_id", "user", "Subject", "id"])
def test_identifiers_with_several_rows_are_a_remark(tmp_path, name):
    data = loaded(write(tmp_path, {name: cycled(range(7)), "x": normal(), "y": CLASSES}))
    (remark,) = [text for text in remarks(data) if "7 different identifiers in 60 rows" in text]
    grouped = loaded(write(tmp_path, {name: cycled(range(7)), "x": normal(), "y": CLASSES}), **typed(offers(remark)))
    assert described(grouped, name)[0] == "group"


@pytest.mark.parametrize(("decides", "first"), [("28/03/2023", "2022-03-05"), ("03/28/2023", "2022-05-03")])
def test_one_column_decides_the_order_of_another(tmp_path, decides, first):
    columns = {"a": cycled(["05/03/2023", "05/03/2022"]), "b": cycled([decides, "05/06/2022"]), "y": CLASSES}
    data = loaded(write(tmp_path, columns))
    assert not [text for text in remarks(data) if "other order" in text]
    assert described(data, "a")[1].startswith(first)
