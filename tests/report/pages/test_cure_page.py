"""The page of a cure: what to do first, then what is wrong and what was tried, and both trainings."""

import math
import re

import pytest

from gradvitals.report.pages.cure_page import cure_page
from gradvitals.report.pictures.cure import Side

BEFORE = Side({0: [1e-6, 1e-3], 50: [1e-6, 1e-2]}, {"val/acc": [(40, 0.1), (80, 0.1)], "val/loss": [(40, 2.3)]})
AFTER = Side({0: [0.1, 0.2]}, {"val/acc": [(40, 0.8), (80, 0.9)]})
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
    "experiment": "cured/it",
    "advice": "",
    "command": "python src/train.py experiment=cured/it",
    "steps_planned": 800,
    "steps": {"sick": 100, "range_test": 0, "trials": 100, "confirmation": 800},
    "seconds": {"sick": 1.0, "range_test": 0.0, "trials": 1.0, "confirmation": 8.0, "all": 12.0},
    "cost": 1.25,
}


def section_of(page: str, title: str) -> str:
    return page.partition(f"{title}</h2>")[2].partition("</section>")[0]


def test_the_page_opens_with_what_to_do():
    page = cure_page(FOUND, BEFORE, AFTER)
    assert '<h1><span class="marked good"><span class="mark" aria-hidden="true">✓</span>Cured by act=elu' in page
    assert "python src/train.py act=sigmoid" in page.partition("<main>")[0]
    to_do = section_of(page, "What to do")
    assert '<pre class="command">python src/train.py experiment=cured/it</pre>' in to_do
    assert "val/acc 0.1 before, val/acc 0.95 after" in to_do
    assert "conf/experiment/cured/it.yaml</code>, which git ignores, and <code>cured.yaml</code>" in to_do
    assert [*re.findall("<h2>(.*?)</h2>", page)] == [
        "What to do",
        "What is wrong",
        "What was tried",
        "Gradient by layer",
        "Validation",
    ]
    assert "vanishing at step 50: nothing arrives" in section_of(page, "What is wrong")


def test_the_table_has_the_result_of_each():
    tried = section_of(cure_page(FOUND, BEFORE, AFTER), "What was tried")
    first, second, third = re.findall("<tr><td>.*?</tr>", tried)[:3]
    assert re.sub("<[^>]*>", "|", first).replace("|", "") == "act=elu✓healthyval/acc 0.9590%slopesClevert"
    assert "failed: a|b" in second
    assert "not tried" in third
    assert "one full training has 800" in tried
    assert "range test" not in tried  # none was made


def test_before_and_after_are_drawn_on_one_scale():
    page = cure_page(FOUND, BEFORE, AFTER)
    ranges = re.findall(r'"range":(\[[^]]*\])', section_of(page, "Gradient by layer"))
    assert ranges == ["[-4.2,2.2]"] * 2
    curves = section_of(page, "Validation")
    assert '"name":"before","x":[40,80],"y":[0.1,0.1]' in curves
    assert '"name":"after","x":[40,80],"y":[0.8,0.9]' in curves
    assert '"range":[-0.03,1.03]' in curves  # of an accuracy


@pytest.mark.parametrize(
    ("outcome", "headline", "says"),
    [
        ("not cured", "Not cured", "None of the known remedies"),
        ("nothing to cure", "Healthy: nothing to cure", "Nothing: the network learns."),
        ("undecided", "Undecided: not known whether it is sick", "A longer run may decide it:"),
    ],
)
def test_other_ends(outcome, headline, says):
    found = FOUND | {"outcome": outcome, "cured": None, "confirmed": [], "experiment": None, "cost": math.nan}
    page = cure_page(found, BEFORE)
    assert f"</span>{headline}</span></h1>" in page
    assert says in section_of(page, "What to do")
    assert "After: dL/dh" not in page


def test_what_no_config_mends_says_what_does():
    page = cure_page(FOUND | {"outcome": "not cured", "remedies": [], "confirmed": [], "advice": "Pass them."}, BEFORE)
    assert "No config mends it. Pass them." in section_of(page, "What to do")
    assert "What was tried" not in page


def test_trainings_that_measured_nothing_have_no_figures():
    page = cure_page(FOUND, Side({}, {}), Side({}, {}))
    assert "Gradient by layer" not in page
    assert "Validation" not in page
