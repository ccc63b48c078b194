"""Another table than the training table: its decimal sign, date format and missing words, found or typed."""

import re

import numpy as np
import pytest

from gradvitals.data.csv import Csv
from tests.tabular.tables import cycled, loaded, normal, offers, typed, write


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Csv:
    columns = {
        "sqft": cycled([1800, 2260, 2600, 3000]),
        "since": cycled([f"2023-{month:02d}-11" for month in range(1, 13)]),
        "y": normal(),
    }
    return loaded(write(tmp_path_factory.mktemp("trained"), columns), "y")


def read(trained: Csv, path: str, **options) -> tuple[list[float], list[str]]:
    """The numbers of `sqft` as they are tested and as they are predicted, and what differs."""
    data = Csv(path, "y", **options)
    data.use(trained.preparation, test_all=True)
    data.setup()
    scale = trained.preparation.columns[0].scale
    tested = np.round(data.loaded.test.x[:, 0].numpy() * scale.scale + scale.center, 2).tolist()
    preparation, cells = data.read_for(trained.preparation)
    predicted, _ = preparation.columns[0].read(cells["sqft"], preparation.missing)
    assert tested == pytest.approx(np.where(np.isnan(predicted), scale.median, predicted), abs=0.01)
    assert preparation.features(cells) == pytest.approx(data.loaded.test.x.numpy())
    assert preparation.differences(cells) == list(data.differences)
    assert data.preparation == trained.preparation
    return tested, list(data.differences)


def table(tmp_path, sqft: str, separator: str = ",", since: str = "2023-05-11", y: str = "1") -> str:
    return write(tmp_path, {"sqft": [sqft] * 20, "since": [since] * 20, "y": [y, "2"] * 10}, separator)


@pytest.mark.parametrize("options", [{"thousands": "point"}, {"decimal": "comma"}, {}])
def test_a_point_groups_thousands_where_it_is_typed_or_the_separator_says_so(tmp_path, trained, options):
    assert read(trained, table(tmp_path, "2.260", ";"), **options) == ([2260.0] * 20, [])


def test_a_typed_sign_decides_before_the_separator(tmp_path, trained):
    assert read(trained, table(tmp_path, "2.260"), thousands="point") == ([2260.0] * 20, [])
    found, (difference,) = read(trained, table(tmp_path, "2.260", ";"), decimal="point")
    assert found == pytest.approx([2.26] * 20)
    assert difference.startswith("sqft: the mean 2.26 is ")


def test_the_sign_of_the_training_table_is_left_where_nothing_decides(tmp_path, trained):
    found, (difference,) = read(trained, table(tmp_path, "2.260"))
    assert found == pytest.approx([2.26] * 20)
    assert difference.startswith("sqft: the mean 2.26 is ")


def test_another_column_decides_before_the_separator(tmp_path, trained):
    path = write(tmp_path, {"sqft": ["2.260"] * 20, "since": ["2023-05-11"] * 20, "y": ["1.5", "2.5"] * 10}, ";")
    found, _ = read(trained, path)
    assert found == pytest.approx([2.26] * 20)
    path = write(tmp_path, {"sqft": ["2.260"] * 20, "since": ["2023-05-11"] * 20, "y": ["1,5", "2,5"] * 10})
    assert read(trained, path) == ([2260.0] * 20, [])


def test_the_target_has_the_decimal_sign_too(tmp_path, trained):
    data = Csv(table(tmp_path, "2260", ";", y="1.500"), "y", thousands="point")
    data.use(trained.preparation, test_all=True)
    data.setup()
    assert trained.preparation.target.unscaled(data.loaded.test.y.numpy()[:1]) == pytest.approx([1500.0], rel=1e-4)


def test_typed_words_mean_missing(tmp_path, trained):
    columns = {"sqft": ["drei", "2260"] * 10, "since": ["2023-05-11"] * 20, "y": ["1", "2"] * 10}
    found, (difference,) = read(trained, write(tmp_path, columns), missing=["drei"])
    assert found == pytest.approx([trained.preparation.columns[0].scale.median, 2260.0] * 10)
    assert difference.startswith("sqft: 10 missing")


def test_ambiguous_dates_are_named_and_the_offer_reads_them_in_the_other_order(tmp_path, trained):
    path = table(tmp_path, "2260", since="03/04/2023")
    _, (difference,) = read(trained, path)
    assert difference.startswith("since: dates were read by %m/%d/%Y; the other order fits, too: ")
    months = []
    for options in ({}, typed(offers(difference))):
        assert read(trained, path, **options)[1] == ([] if options else [difference])
        preparation, cells = Csv(path, "y", **options).read_for(trained.preparation)
        angle = preparation.features(cells)[0, 1:3] * [scale.scale for scale in preparation.columns[1].scales[:2]]
        angle += [scale.center for scale in preparation.columns[1].scales[:2]]
        months.append(round(np.arctan2(*angle) / (2 * np.pi) * 12 + 1, 3))
    assert months == [3, 4]


def test_a_typed_date_format_leaves_columns_that_it_does_not_fit(tmp_path):
    columns = {"a": [f"{day:02d}/03/2023" for day in range(1, 29)], "b": ["2023-05-11", "2023-06-11"] * 14}
    training = loaded(write(tmp_path, columns | {"y": normal(28)}), "y")
    path = write(tmp_path, {"a": ["03/04/2023"] * 20, "b": ["2023-05-11"] * 20, "y": ["1", "2"] * 10})
    preparation, _ = Csv(path, "y", date_format="%m/%d/%Y").read_for(training.preparation)
    assert [column.format for column in preparation.columns] == ["%m/%d/%Y", "%Y-%m-%d"]


@pytest.mark.parametrize("scaling", ["standard", "robust", "raw"])
def test_a_skewed_target_does_not_differ_from_itself_and_a_shifted_one_does(tmp_path, scaling):
    y = cycled([1.0, 2.0, 3.0] * 3 + [1000.0])  # mean 101.8 and deviation 299.4; quartiles 1, 2 and 3
    training = loaded(write(tmp_path, {"sqft": normal(), "y": y}), "y", scaling=scaling, task="regression")
    shifts = []
    for factor in (1, 10):
        data = Csv(write(tmp_path, {"sqft": normal(), "y": [factor * value for value in y]}), "y")
        data.use(training.preparation, test_all=True)
        data.setup()
        shifts.append([text for text in data.differences if text.startswith("y")])
    assert shifts[0] == []
    assert re.fullmatch(r"y: the mean is \d deviations from the training rows'", shifts[1][0])


def test_robust_scaling_subtracts_the_median_of_a_target_whose_quartiles_are_equal(tmp_path):
    column = cycled([1.0] * 9 + [1000.0])
    training = loaded(write(tmp_path, {"x": column, "y": column}), "y", scaling="robust", task="regression")
    of_feature = training.preparation.columns[0].scale
    of_target = training.preparation.target
    assert (of_target.center, of_target.scale) == (of_feature.center, of_feature.scale)
    assert of_target.center == 1


def test_blanks_in_the_name_of_the_target_do_not_matter(tmp_path):
    training = loaded(write(tmp_path, {"x": normal(), "the  y": normal()}), "the y")
    data = Csv(write(tmp_path, {"x": normal(), "the y": normal()}), "the y")
    data.use(training.preparation, test_all=True)
    data.setup()
    assert data.differences == ()
    assert len(data.loaded.test) == 60
