"""The column to predict: which rows have one, the task, the classes and their order, and what is refused."""

import numpy as np
import pytest
import torch

from tests.tabular.tables import cycled, followed, loaded, normal, offers, remarks, typed, write


def target(tmp_path, values, separator=",", **options):
    return loaded(write(tmp_path, {"x": normal(len(values)), "y": values}, separator), **options)


def counts(data) -> dict[str, int]:
    return data.description.classes


def every_y(data) -> torch.Tensor:
    splits = data.loaded
    return torch.cat([splits.train.y, splits.val.y, splits.test.y])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["None", "Insomnia", "Apnea"], {"Apnea": 20, "Insomnia": 20, "None": 20}),
        (["null", "disk"], {"disk": 30, "null": 30}),
        (["NA", "EU", "AS", "SA"], {"AS": 15, "EU": 15, "NA": 15, "SA": 15}),
        (["n/a", "cat", "dog"], {"cat": 20, "dog": 20, "n/a": 20}),
        (["missing", "found"], {"found": 30, "missing": 30}),
        (["NONE", "low", "high"], {"high": 20, "low": 20, "NONE": 20}),
    ],
)
def test_a_class_may_be_called_none(tmp_path, values, expected):
    data = target(tmp_path, cycled(values))
    assert counts(data) == expected
    (remark,) = remarks(data)
    assert f"{values[0]!r} is taken for a class" in remark
    without = target(tmp_path, cycled(values), **typed(offers(remark))) if len(values) > 2 else None
    assert without is None or counts(without) == {name: n for name, n in expected.items() if name != values[0]}


@pytest.mark.parametrize("word", ["None", "NA", "null", "n/a", "missing"])
def test_missing_words_beside_yes_and_no(tmp_path, word):
    data = target(tmp_path, cycled(["yes", "no", word]))
    assert counts(data) == {"no": 20, "yes": 20}
    (left_out,) = data.description.left_out
    assert (left_out.rows, left_out.examples) == (20, (f"{word!r} in 20 rows",))
    (remark,) = remarks(data)
    assert len(counts(target(tmp_path, cycled(["yes", "no", word]), **typed(offers(remark))))) == 3


@pytest.mark.parametrize("word", ["None", "NA", "?", "-", "", "nan", "#N/A"])
def test_missing_words_beside_numbers(tmp_path, word):
    data = target(tmp_path, [*normal(50), *[word] * 10])
    assert (data.loaded.task, data.description.rows) == ("regression", 50)
    assert data.description.left_out[0].rows == 10


def test_a_typed_word_is_missing(tmp_path):
    assert counts(target(tmp_path, cycled(["None", "a", "b"]), missing=["None"])) == {"a": 20, "b": 20}
    assert counts(target(tmp_path, cycled(["None", "a", "b"]), target_missing=["none"])) == {"a": 20, "b": 20}


def test_values_of_the_target_alone_leave_features_as_they_are(tmp_path):
    path = write(tmp_path, {"x": cycled([1, 2, 3, 4, 5]), "y": [1, 1, *cycled([3, 4], 58)]})
    data = loaded(path, target_missing=["1"], scaling="raw")
    assert counts(data) == {"3": 29, "4": 29}
    assert sum((split.x == 1).sum() for split in (data.loaded.train, data.loaded.val, data.loaded.test)) == 11


@pytest.mark.parametrize("sign", ["?", "-", "", " ", "NA"])
def test_signs_mean_that_a_row_has_no_target(tmp_path, sign):
    data = target(tmp_path, cycled([0, 1, sign]))
    assert (counts(data), data.description.left_out[0].rows) == ({"0": 20, "1": 20}, 20)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["yes ", "Yes", "no", " NO"], {"no": 30, "yes": 30}),
        (["a", "A", "b"], {"a": 20 * 2, "b": 20}),
        (["very good", "very  good", "bad"], {"bad": 20, "very good": 40}),
        (["Ja", "JA", "nein"], {"nein": 20, "Ja": 40}),
        (["Spam", "spam ", "ham"], {"ham": 20, "Spam": 40}),
        (["TRUE", "False", "true", "false"], {"False": 30, "TRUE": 30}),
    ],
)
def test_labels_that_differ_by_blanks_or_case_are_one(tmp_path, values, expected):
    data = target(tmp_path, cycled(values))
    assert {name.casefold(): n for name, n in counts(data).items()} == {k.casefold(): n for k, n in expected.items()}
    assert any("is one class" in remark or "blanks around" in remark for remark in remarks(data))


def test_exact_labels_are_different(tmp_path):
    assert counts(target(tmp_path, cycled(["a", "A", "b"]), labels="exact")) == {"A": 20, "a": 20, "b": 20}


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["yes", "no"], ("no", "yes")),
        (["true", "false"], ("false", "true")),
        (["y", "n"], ("n", "y")),
        (["ja", "nein"], ("nein", "ja")),
        ([1, 0], ("0", "1")),
        ([2, 1], ("1", "2")),
        (["1.0", "0.0", "1"], ("0", "1")),
        (["1,0", "0,0"], ("0", "1")),
        ([1, -1], ("-1", "1")),
        (["positive", "negative"], ("negative", "positive")),
        (["malignant", "benign"], ("benign", "malignant")),
        (["Churned", "not churned"], ("not churned", "Churned")),
    ],
)
def test_the_positive_class_is_the_second(tmp_path, values, classes):
    data = target(tmp_path, cycled(values))
    assert (tuple(counts(data)), data.loaded.task) == (classes, "binary")


def test_the_number_of_a_class_is_its_place(tmp_path):
    data = target(tmp_path, [*["yes"] * 20, *["no"] * 40])
    assert every_y(data).sum() == 20


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (["1,0", "1,3", "1,7", "2,0", "2,3"], 1.0, 2.3),
        (["1.0", "1.3", "1.7", "2.0", "2.3"], 1.0, 2.3),
        (["€ 1.200,50", "€ 900,00", "€ 10,25"], 10.25, 1200.5),
        (["$1,200.50", "$900.00", "$10.25"], 10.25, 1200.5),
        (["10 %", "20 %", "35 %"], 10, 35),
        (["10%", "20%", "30%"], 10, 30),
        (["1.200 kg", "900 kg", "1.050 kg"], 900, 1200),
    ],
)
def test_quantities_keep_their_unit(tmp_path, values, low, high):
    data = target(tmp_path, cycled(values), ";")
    assert data.loaded.task == "regression"
    quantities = data.preparation.predictions(every_y(data).numpy())["prediction"]
    if "1.200 kg" not in values:  # a point before three digits is ambiguous, and said
        assert (round(quantities.min(), 4), round(quantities.max(), 4)) == (low, high)
    else:
        assert any("was read as" in remark for remark in remarks(data))


@pytest.mark.parametrize(
    ("values", "task", "other"),
    [
        ([1, 2, 3, 4, 5], "multiclass", "regression"),
        (range(20), "multiclass", "regression"),
        (range(21), "regression", "multiclass"),
        (["1,0", "2,0", "3,0"], "multiclass", "regression"),
        ([10, 20, 30], "multiclass", "regression"),
        (["10%", "20%", "30%"], "regression", "multiclass"),
    ],
)
def test_the_other_task_is_offered_where_it_is_as_likely(tmp_path, values, task, other):
    values = cycled(list(values), 420)
    data = target(tmp_path, values)
    assert data.loaded.task == task
    (remark,) = [each for each in remarks(data) if "are taken for" in each]
    assert target(tmp_path, values, **typed(offers(remark))).loaded.task == other


def test_codes_with_leading_zeros_are_classes(tmp_path):
    assert counts(target(tmp_path, cycled(["001", "002", "010"]))) == {"001": 20, "002": 20, "010": 20}


@pytest.mark.parametrize("mark", [-999, -99, -9999, 9999, -99999])
def test_a_number_far_from_the_others_is_missing_in_the_target(tmp_path, mark):
    data = target(tmp_path, [*np.linspace(0, 10, 50).round(2), *[mark] * 10])
    assert (data.description.rows, data.description.left_out[0].rows) == (50, 10)
    (remark,) = [each for each in remarks(data) if "was taken for missing" in each]
    assert (
        target(tmp_path, [*np.linspace(0, 10, 50).round(2), *[mark] * 10], **typed(offers(remark))).description.rows
        == 60
    )


def test_what_makes_a_third_class_beside_yes_and_no_is_said(tmp_path):
    values = cycled(["yes", "no", "yes", "no", "unknown"])
    data = target(tmp_path, values)
    (remark,) = remarks(data)
    assert "'unknown' in 12 rows makes 3 classes" in remark
    assert counts(target(tmp_path, values, **typed(offers(remark)))) == {"no": 24, "yes": 24}


@pytest.mark.parametrize("extra", ["<=50K.", "yes!", "a;"])
def test_classes_that_differ_by_a_sign_at_the_end_are_said(tmp_path, extra):
    data = target(tmp_path, cycled([extra, extra[:-1], "other"]))
    assert any("are different classes" in remark for remark in remarks(data))


def test_outliers_of_a_quantity_are_said(tmp_path):
    values = [*normal(58), 1e9, 5e8]
    (remark,) = remarks(target(tmp_path, values))
    assert "y: 2 far beyond the rest" in remark
    assert remarks(target(tmp_path, values, **typed(offers(remark)))) == []


DAYS = [f"2024-01-{day:02d}" for day in range(1, 29)]
REFUSED = {
    "dates": (DAYS * 2, {}, "got dates such as '2024-01-01' in line 2"),
    "German dates": ([f"{day:02d}.03.2024" for day in range(1, 29)], {}, "got dates such as"),
    "dates of eight digits": ([f"202401{day:02d}" for day in range(1, 29)], {}, "got dates such as"),
    "dates with times": ([f"{day} 10:30" for day in DAYS], {}, "got dates such as"),
    "months": ([f"{1 + month % 12}/{2000 + month}" for month in range(30)], {}, "got dates such as"),
    "free text": ([f"a remark {row} of a user" for row in range(60)], {}, "got 60 different strings in 60 rows"),
    "names": ([f"Mr. X{row}" for row in range(60)], {}, "got 60 different strings"),
    "one class": (["a"] * 60, {}, "at least two different values; got only 'a'"),
    "nothing": ([""] * 60, {}, "got no value at all"),
    "one class and nan": (cycled(["fraud", "nan"]), {}, "got only 'fraud'; 'nan' in 30 rows means missing"),
    "yes and None": (cycled(["yes", "None"]), {}, "got only 'yes'; 'None' in 30 rows means missing"),
    "a stray word": ([*normal(59), "unknown"], {}, "got 'unknown' in line 61"),
    "two stray words": ([*normal(58), "unknown", "n/k"], {}, "got 'unknown' in line 60"),
    "a stray word in currency": ([*[f"€ {n},50" for n in range(58)], "gratis", "gratis"], {}, "got 'gratis'"),
    "a stray word beside classes": ([*cycled([0, 1], 55), *["maybe"] * 5], {}, "got 'maybe' in line 57"),
    "a stray word, typed": ([*normal(59), "low"], {"task": "regression"}, "got 'low' in line 61"),
    "a stray word, another is typed": (
        [*normal(58), "low", "n/k"],
        {"target_missing": ["low"]},
        "got 'n/k' in line 61",
    ),
    "a rare class": (["a"] * 30 + ["b"] * 28 + ["c"] * 2, {}, "c has 2"),
    "two rare classes": (["a"] * 30 + ["b"] * 27 + ["c"] * 2 + ["d, e"], {}, "c has 2, d, e has 1"),
    "a rare number": ([0] * 30 + [1] * 28 + [2] * 2, {}, "2 has 2"),
    "a rare decimal comma": (["1,0"] * 30 + ["2,0"] * 28 + ["3,0"] * 2, {}, "3 has 2"),
    "many rare classes": (["a"] * 30 + ["b"] * 22 + [f"r{n}" for n in range(8)], {}, "and 3 more"),
    "a rare class in quotes": (["a"] * 30 + ["b"] * 28 + ['it\'s "c"'] * 2, {}, "has 2"),
    "only one of the second": (["a"] * 59 + ["b"], {}, "b has 1. Add rows of this class"),
    "three where two are typed": (cycled(["a", "b", "c"]), {"task": "binary"}, "expected two values in 'y'; got 3"),
    "infinite": ([*normal(58), "inf", "1e39"], {}, "expected numbers below 1e38; got 'inf' in line"),
    "only the case differs": (cycled(["A", "a"]), {}, "got one, in several spellings"),
    "the target is dropped": (cycled([0, 1]), {"drop": ["x", "y"]}, "data.drop: expected columns besides the target"),
    "names where a quantity is typed": (cycled(["a", "b"]), {"task": "regression"}, "expected numbers in 'y'; got 'a'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_offers_a_way_that_works(tmp_path, name):
    values, options, words = REFUSED[name]
    path = write(tmp_path, {"x": normal(len(values)), "y": values}, ";")
    with pytest.raises(ValueError, match="data") as caught:
        loaded(path, **options)
    message = str(caught.value)
    assert words in message
    found = followed(path, "y", message, options)
    assert len(found) == len(offers(message))
    assert all(
        set(options.get("target_missing", [])) <= set(way.get("target_missing", [])) or "task" in way for way in found
    )


def test_every_rare_class_is_named_at_once(tmp_path):
    path = write(tmp_path, {"x": normal(), "y": ["a"] * 30 + ["b"] * 22 + [f"r{n}" for n in range(8)]})
    with pytest.raises(ValueError, match="expected at least 3 rows of each class") as caught:
        loaded(path)
    (offer,) = offers(str(caught.value))
    assert sorted(typed([offer])["target_missing"]) == [f"r{n}" for n in range(8)]
    assert counts(loaded(path, **typed([offer]))) == {"a": 30, "b": 22}


def test_a_target_that_both_signs_read_is_said(tmp_path):
    values = cycled(["1,234", "2,345", "3,456"])
    data = target(tmp_path, values, ";")
    (remark,) = [each for each in remarks(data) if "was read as" in each]
    assert data.loaded.task == "multiclass"
    other = target(tmp_path, values, ";", **typed(offers(remark)))
    assert (other.loaded.task, other.description.columns[1].detail.split(",")[0]) == ("regression", "1.234 to 3.456")


@pytest.mark.parametrize(("key", "task"), [("categorical", "multiclass"), ("numeric", "regression")])
def test_a_kind_that_is_typed_for_the_target_is_a_task(tmp_path, key, task):
    path = write(tmp_path, {"x": normal(420), "y": cycled(range(21), 420)})
    with pytest.raises(ValueError, match="expected columns besides the target") as caught:
        loaded(path, **{key: ["y"]})
    assert loaded(path, **typed(offers(str(caught.value)))).loaded.task == task


@pytest.mark.parametrize(
    "values",
    [["Yes", "Y", "No", "N"], ["True", "False", "0", "1", "t"], ["ja", "nein", "yes"], ["Yes", "No", "yes", "n"]],
)
def test_yes_and_no_in_several_spellings_are_said(tmp_path, values):
    data = target(tmp_path, cycled(values))
    assert any("if they are two in several spellings" in text for text in remarks(data))


def test_signs_are_classes(tmp_path):
    data = target(tmp_path, cycled(["+", "-", "+", ""]))
    assert data.description.classes == {"-": 15, "+": 30}
    assert data.description.rows == 45


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["Ko\u0308ln", "K\u00f6ln", "Bonn"], 2),
        (["caf\u00e9", "cafe\u0301", "tea"], 2),
        (["K\u00f6ln", "Koln", "Bonn"], 3),
    ],
)
def test_a_letter_and_its_accent_may_be_two_characters(tmp_path, values, classes):
    assert len(target(tmp_path, cycled(values)).description.classes) == classes
