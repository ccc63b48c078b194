"""The fitted preparation on other tables: columns by name, levels, classes and scales of the training table."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from gradvitals.data.csv import Csv
from gradvitals.tabular.preparation import Preparation
from tests.tabular.tables import cycled, loaded, offers, typed, write

ROWS = 60
GENERATOR = np.random.default_rng(0)
COLUMNS: dict[str, list] = {
    "height": GENERATOR.normal(170, 10, ROWS).round(2).tolist(),
    "count": GENERATOR.integers(0, 50, ROWS).tolist(),
    "color": cycled(["red", "green", "blue"], ROWS),
    "zip": cycled(["01067", "80331", "20095", "99084"], ROWS),
    "paid": cycled([True, False, None, True, True], ROWS),
    "since": cycled([f"2023-{month:02d}-11" for month in range(1, 13)], ROWS),
    "gap": cycled([1.5, None, 2.5, 9.25], ROWS),
    "label": cycled(["A", "B", "C"], ROWS),
}


def text(columns: dict[str, list]) -> dict[str, list]:
    return {name: ["" if value is None else value for value in values] for name, values in columns.items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Csv:
    return loaded(write(tmp_path_factory.mktemp("trained"), text(COLUMNS)), "label")


def other(tmp_path, trained: Csv, columns: dict[str, list], **options) -> Csv:
    data = Csv(write(tmp_path, text(columns)), "label", **options)
    data.use(trained.preparation, test_all=True)
    data.setup()
    return data


def rows(columns: dict[str, list], chosen) -> dict[str, list]:
    return {name: [values[row] for row in chosen] for name, values in columns.items()}


def test_the_same_table_has_the_same_features(tmp_path, trained):
    data = other(tmp_path, trained, COLUMNS)
    assert (len(data.loaded.test), data.differences) == (ROWS, ())
    mine, theirs = (torch.cat([s.train.x, s.val.x, s.test.x]) for s in (trained.loaded, trained.loaded))
    assert torch.equal(mine, theirs)
    assert torch.equal(data.loaded.test.x.sum(0).sort().values, data.loaded.train.x.sum(0).sort().values)


@pytest.mark.parametrize("absent", ["A", "B", "C"])
def test_a_class_is_absent(tmp_path, trained, absent):
    chosen = [row for row in range(ROWS) if COLUMNS["label"][row] != absent]
    data = other(tmp_path, trained, rows(COLUMNS, chosen))
    number = {"A": 0, "B": 1, "C": 2}
    assert data.loaded.test.y.tolist() == [number[COLUMNS["label"][row]] for row in chosen]
    assert data.loaded.num_classes == 3


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_columns(tmp_path, trained, seed):
    names = np.random.default_rng(seed).permutation(list(COLUMNS)).tolist()
    data = other(tmp_path, trained, {name: COLUMNS[name] for name in names})
    assert torch.equal(data.loaded.test.x, other(tmp_path, trained, COLUMNS).loaded.test.x)


@pytest.mark.parametrize(
    ("column", "level"), [("color", "yellow"), ("color", "violet, dark"), ("zip", "00001"), ("paid", "maybe")]
)
def test_a_new_level_is_named_and_is_no_level(tmp_path, trained, column, level):
    data = other(tmp_path, trained, COLUMNS | {column: [level, *COLUMNS[column][1:]]})
    (difference,) = data.differences
    assert difference.startswith(f"{column}: new level {level!r} (1 row)")
    before = other(tmp_path, trained, COLUMNS).loaded.test.x
    assert data.loaded.test.x[0].sum() == pytest.approx(float(before[0].sum() - 1), abs=1e-5)
    assert torch.equal(data.loaded.test.x[1:], before[1:])


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (["height"], r"'height' is missing; 'height' may be called 'Height \(cm\)' here"),
        (["color", "zip"], "'color', 'zip' are missing"),
        (["count", "since", "gap"], "'count', 'since', 'gap' are missing"),
        (["paid"], "'paid' is missing"),
        (list(COLUMNS)[:-1], "'height', 'count', 'color', 'zip', 'paid', 'since', 'gap' are missing"),
    ],
)
def test_missing_columns_are_all_named(tmp_path, trained, missing, words):
    columns = {name: values for name, values in COLUMNS.items() if name not in missing}
    renamed = {"Height (cm)": COLUMNS["height"]} if missing == ["height"] else {}
    with pytest.raises(ValueError, match=words):
        other(tmp_path, trained, {**columns, **renamed})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([value + 100 for value in COLUMNS["height"]], "height: the mean .* is 1[0-9] deviations from"),
        ([value * 1000 for value in COLUMNS["height"]], "height: the mean .* about 1,000 times .*: in another unit"),
        ([value / 1000 for value in COLUMNS["height"]], "height: the mean .* about 1/1,000 of .*: in another unit"),
        ([f"{value} cm" for value in COLUMNS["height"]], "height: in cm, the training table in no unit"),
        ([None, *COLUMNS["height"][1:]], "height: 1 missing, where the training table has none"),
    ],
)
def test_another_unit_or_a_shift_is_named(tmp_path, trained, values, words):
    data = other(tmp_path, trained, COLUMNS | {"height": values})
    assert any(pd.Series([each]).str.match(words).item() for each in data.differences), data.differences


def test_a_unit_that_the_training_table_has(tmp_path):
    columns = {"w": [f"{50 + row} kg" for row in range(ROWS)], "label": COLUMNS["label"]}
    kilograms = loaded(write(tmp_path, columns), "label")
    pounds = other(tmp_path, kilograms, columns | {"w": [f"{2.2046 * (50 + row):.2f} lb" for row in range(ROWS)]})
    assert any("in lb, the training table in kg" in each for each in pounds.differences)


def frame() -> pd.DataFrame:
    return pd.DataFrame(COLUMNS)


@pytest.mark.parametrize(
    "types",
    [
        {},
        {"height": "float32"},
        {"count": "Int64"},
        {"count": "float64"},
        {"count": "object"},
        {"color": "category"},
        {"zip": "string"},
        {"paid": "boolean"},
        {"since": "datetime64[ns]"},
        {"gap": "Float64"},
        {"gap": "object"},
        {"height": "object", "label": "category"},
        {"color": "category", "paid": "boolean", "since": "datetime64[us]", "count": "int16"},
    ],
)
def test_typed_columns_have_the_features_of_strings(tmp_path, trained, types):
    strings = other(tmp_path, trained, COLUMNS).loaded.test
    table = frame().astype(types)
    features = torch.from_numpy(trained.preparation.features(table))
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if "float32" in types.values() else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(features, strings.x, **tolerance)
    assert trained.preparation.targets(table).tolist() == strings.y.tolist()


def test_typed_numbers_where_the_training_table_has_a_decimal_comma(tmp_path):
    values = [f"{row / 4:.2f}".replace(".", ",") for row in range(ROWS)]
    data = loaded(write(tmp_path, {"x": values, "label": COLUMNS["label"]}, ";"), "label")
    for dtype in (float, object):
        table = pd.DataFrame({"x": pd.Series([row / 4 for row in range(ROWS)], dtype=dtype)})
        strings = pd.DataFrame({"x": values})
        assert np.array_equal(data.preparation.features(table), data.preparation.features(strings))


@pytest.mark.parametrize("row", range(0, ROWS, 12))
def test_one_row(tmp_path, trained, row):
    every = other(tmp_path, trained, COLUMNS).loaded.test
    one = other(tmp_path, trained, rows(COLUMNS, [row])).loaded.test
    assert torch.equal(one.x[0], every.x[row])
    assert one.y[0] == every.y[row]


def test_a_repeated_index_and_names_that_are_no_strings(trained):
    table = frame()
    doubled = pd.concat([table, table])
    features = trained.preparation.features(doubled)
    assert np.array_equal(features[:ROWS], features[ROWS:])
    numbered = loaded_by_number()
    assert numbered.features(pd.DataFrame({0: [1.0, 2.0], 1: ["a", "b"]})).shape[0] == 2


def loaded_by_number() -> Preparation:
    from gradvitals.tabular.fitted_columns import CategoryColumn, NumberColumn, Scale
    from gradvitals.tabular.numbers import NumberFormat
    from gradvitals.tabular.target import Target

    columns = (
        NumberColumn("0", NumberFormat(), (), Scale(0, 0, 1, 0, 0, 1, 0)),
        CategoryColumn("1", ("a", "b"), False, False, False),
    )
    return Preparation(Target("2", "binary", ("n", "y")), columns, ("0", "1", "2"))


def test_a_column_twice_is_refused(trained):
    with pytest.raises(ValueError, match="expected each column once; got 'height' twice"):
        trained.preparation.features(pd.concat([frame(), frame()[["height"]]], axis=1))


@pytest.mark.parametrize("through", ["json", "yaml", "torch"])
def test_it_goes_through_files(trained, through):
    values = trained.preparation.to_dict()
    if through == "torch":
        file = io.BytesIO()
        torch.save(values, file)
        read = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    else:
        read = (
            json.loads(json.dumps(values, allow_nan=False))
            if through == "json"
            else yaml.safe_load(yaml.safe_dump(values))
        )
    again = Preparation.from_dict(read)
    assert again == trained.preparation
    assert np.array_equal(again.features(frame()), trained.preparation.features(frame()))


@pytest.mark.parametrize("damage", [{}, {"version": 2}, {"version": 1}, None, []])
def test_something_else_is_refused(damage):
    with pytest.raises(ValueError, match="expected the preparation of a table"):
        Preparation.from_dict(damage)


def test_the_fingerprint_is_of_the_file(tmp_path, trained):
    assert trained.preparation.fingerprint == trained.fingerprint
    assert len(trained.fingerprint) == 64
    assert other(tmp_path, trained, rows(COLUMNS, range(30))).fingerprint != trained.fingerprint


def test_all_columns_of_strings_are_named_at_once_and_the_offer_works(tmp_path, trained):
    damaged = COLUMNS | {"height": ["tall", *COLUMNS["height"][1:]], "since": [*COLUMNS["since"][:-1], "soon"]}
    with pytest.raises(
        ValueError, match="in column 'height'; got 'tall' in line 2; .* in column 'since'; got 'soon'"
    ) as caught:
        other(tmp_path, trained, damaged)
    (offer,) = offers(str(caught.value))
    assert len(other(tmp_path, trained, damaged, **typed([offer])).loaded.test) == ROWS


def test_a_new_class_is_named_and_the_offer_leaves_it_out(tmp_path, trained):
    changed = COLUMNS | {"label": ["D", *COLUMNS["label"][1:]]}
    with pytest.raises(ValueError, match=r"expected the classes 'A', 'B', 'C' .* got 'D' \(1 row\)") as caught:
        other(tmp_path, trained, changed)
    (offer,) = offers(str(caught.value))
    assert len(other(tmp_path, trained, changed, **typed([offer])).loaded.test) == ROWS - 1


def test_further_columns_are_named_and_not_used(tmp_path, trained):
    data = other(tmp_path, trained, COLUMNS | {"extra": COLUMNS["height"]})
    assert data.differences == ("not in the training table, and not used: 'extra'",)


@pytest.mark.parametrize("outputs", [np.array([0.2, 0.9]), np.array([[0.8, 0.2], [0.1, 0.9]])])
def test_predictions_of_classes(outputs):
    found = loaded_by_number().predictions(outputs, pd.Index([7, 9]))
    assert found["prediction"].tolist() == ["n", "y"]
    assert found["probability of y"].tolist() == pytest.approx([0.2, 0.9])
    assert found.index.tolist() == [7, 9]
