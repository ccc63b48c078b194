"""Columns of any name: as Hydra reads them, and in commands that a message offers."""

import pytest

from tests.tabular.tables import cycled, followed, loaded, normal, offers, typed, write

NAMES = [
    "Customer Name (full)", "price [€]", "a=b", "#1", "Größe", "a, b", "true", "null", "2020", "1.5", "1e3", "it's",
    'the "best"', "a: b", "{x}", "$HOME", "${x}", "back\\slash", "~x", "100%", "a;b", "*", "Ja/Nein?", "x|y", "nan", "-",
    "a\tb", "null ", "@home", "off",
]  # fmt: skip


def table(tmp_path, **columns):
    return write(tmp_path, columns)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_of_any_name(tmp_path, name):
    path = write(tmp_path, {"zz": normal(), name: cycled(["p", "q"])})
    with pytest.raises(ValueError, match="data.target: expected a column") as caught:
        loaded(path, name.strip() * 4)
    (offer,) = offers(str(caught.value))
    wanted = " ".join(name.split())
    assert " ".join(str(loaded(path, **typed([offer])).description.target).split()) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_any_name_is_dropped_or_taken_as_names(tmp_path, name):
    stray = [*normal(50), *(f"word {row}" for row in range(10))]
    path = write(tmp_path, {name: stray, "x": normal(), "y": cycled([0, 1]), "drop me": normal()})
    with pytest.raises(ValueError, match="expected numbers in column") as caught:
        loaded(path, drop=["drop me"], categorical=["x"])
    found = [typed([offer]) for offer in offers(str(caught.value))]
    assert sorted(key for each in found for key in each) == ["categorical", "drop"]
    ways = followed(path, "y", str(caught.value), {"drop": ["drop me"], "categorical": ["x"]})
    assert ways[0]["categorical"][0] == "x"
    assert ways[1]["drop"][0] == "drop me"


@pytest.mark.parametrize(
    ("typed_name", "column"),
    [(True, "true"), (None, "null"), (2020, "2020"), (1000.0, "1e3"), (1.5, "1.50"), (False, "False")],
)
def test_names_as_hydra_reads_them(tmp_path, typed_name, column):
    path = write(tmp_path, {"x": normal(), column: cycled([0, 1])})
    assert loaded(path, typed_name).description.target == column


def test_one_and_true_are_two_columns(tmp_path):
    path = write(tmp_path, {"1": normal(), "true": normal(), "x": normal(), "y": cycled([0, 1])})
    assert loaded(path, drop=[1, True]).loaded.train.x.shape[1] == 1


def test_all_unknown_columns_are_named_at_once(tmp_path):
    path = write(tmp_path, {"age": normal(), "income": normal(), "x": normal(), "y": cycled([0, 1])})
    with pytest.raises(ValueError, match=r"data.drop: expected a column .* got 'Agee', 'incme'") as caught:
        loaded(path, drop=["x", "Agee", "incme"])
    (offer,) = offers(str(caught.value))
    assert typed([offer]) == {"drop": ["x", "age", "income"]}


def test_a_column_of_two_kinds_is_refused(tmp_path):
    path = write(tmp_path, {"x": normal(), "y": cycled([0, 1])})
    with pytest.raises(ValueError, match="data.categorical and data.numeric: expected one of them for 'x'; got both"):
        loaded(path, categorical=["x"], numeric=["x"])
