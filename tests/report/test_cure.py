"""The page and the picture of a cure."""

import io

import pytest
from matplotlib import image

from gradvitals.report.pictures.cure import picture
from gradvitals.report.tables.cure import page

SIDE = {"profiles": {0: [1e-6, 1e-3], 50: [1e-6, 1e-2]}, "curves": {"val/acc": [(40, 0.1)], "val/loss": [(40, 2.3)]}}
EFFECT = {
    "status": "completed",
    "verdict": "healthy",
    "reason": None,
    "objective": "val/acc",
    "best": 0.95,
    "learnt": 0.9,
    "steps": 800,
    "seconds": 3.0,
}
FOUND = {
    "outcome": "cured",
    "overrides": ["act=sigmoid"],
    "evidence": "vanishing at step 50: nothing arrives",
    "sick": EFFECT | {"best": 0.1, "verdict": "vanishing"},
    "remedies": [
        {"overrides": ["act=elu"], "why": "slopes", "source": "Clevert", "effect": EFFECT},
        {
            "overrides": ["model=ln"],
            "why": "size",
            "source": "Ba",
            "effect": EFFECT | {"status": "failed", "reason": "a|b"},
        },
        {"overrides": ["model=bn"], "why": "size", "source": "Ioffe", "effect": None},
    ],
    "confirmed": [{"overrides": ["act=elu"], "effect": EFFECT}],
    "cured": ["act=elu"],
    "command": "python src/train.py experiment=cured/it",
    "steps_planned": 800,
    "steps": {"sick": 100, "range_test": 0, "trials": 100, "confirmation": 800},
    "seconds": {"sick": 1.0, "range_test": 0.0, "trials": 1.0, "confirmation": 8.0, "all": 12.0},
    "cost": 1.25,
}


def test_the_page_opens_with_what_to_do():
    lines = page(FOUND).splitlines()
    assert lines[0] == "# Cured by act=elu"
    assert "    python src/train.py experiment=cured/it" in lines[:6]
    assert "This trains from scratch to the end: val/acc 0.1 before, val/acc 0.95 after." in lines


def test_the_table_has_the_result_of_each():
    rows = [line for line in page(FOUND).splitlines() if line.startswith("| `")]
    assert rows[0] == "| `act=elu` | slopes | Clevert | healthy | val/acc 0.95 | 90% |"
    assert "failed: a/b" in rows[1]
    assert "not tried" in rows[2]
    assert "Together 1.25 full trainings" in page(FOUND)
    assert "range test" not in page(FOUND)  # none was made


@pytest.mark.parametrize(
    ("outcome", "words"), [("not cured", "# Not cured"), ("nothing to cure", "# Healthy: nothing")]
)
def test_other_ends(outcome, words):
    found = FOUND | {"outcome": outcome, "cured": None, "confirmed": []}
    assert page(found).startswith(words)
    assert "cure.png" not in page(found)


def test_a_picture_of_both():
    drawn = image.imread(io.BytesIO(picture(SIDE, SIDE, ("a" * 300, "b"))))
    assert drawn.shape[:2] == (1200, 1650)
    left, right = drawn[600:1200, :825], drawn[600:1200, 825:]
    assert left.std() > 0.02
    assert right.std() > 0.02


def test_a_picture_of_a_run_that_never_validated():
    assert picture({"profiles": {0: [1.0, 1.0]}, "curves": {}}, SIDE, ("a", "b"))


def test_a_net_without_a_finite_gradient():
    assert picture(
        {"profiles": {0: [float("nan"), None, 0.0]}, "curves": {"val/loss": [(1, float("nan"))]}}, SIDE, ("a", "b")
    )
