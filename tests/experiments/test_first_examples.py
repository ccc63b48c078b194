"""What a learner types first, taken from the README and docs/options.md, trains well: ``make test-slow``."""

import re

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
OPTIONS = (ROOT / "docs/options.md").read_text().partition("\n## ")[0]
TYPED = re.findall(r"^make train(?: ARGS=\"(.+?)\")?", README, re.MULTILINE)
TYPED += re.findall(r"^python src/train.py ([^#\n]*=[^#\n]*)", OPTIONS, re.MULTILINE)
EXAMPLES = [words for words in map(str.strip, TYPED) if "experiment=" not in words]  # which has tests of its own
DIGITS = [words for words in EXAMPLES if "data=" not in words]


def test_the_examples_were_found():
    assert "" in EXAMPLES
    assert len(DIGITS) >= 5
    assert len(EXAMPLES) - len(DIGITS) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("words", DIGITS)
def test_an_example_on_digits_is_healthy_and_good(outcome_of, words):
    run = outcome_of(*words.replace("'", "").split())
    assert run.result["verdict"] == "healthy"
    assert run.best("val/acc") >= 0.94
    assert run.final("val/acc") >= 0.93
    assert run.final("val/loss") < 0.5
    gradients = run.start("activation_grad_norm")
    assert 0.1 < gradients[0] / gradients[-1] < 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("words", [words for words in EXAMPLES if "data=" in words])
def test_an_example_on_other_data_is_healthy_and_beats_the_majority(outcome_of, data_root, words):
    own = words.replace("DIR", str(data_root)).replace("water.csv", str(data_root / "water_potability.csv"))
    run = outcome_of(*own.split())
    assert run.result["verdict"] == "healthy"
    assert run.best("val/acc") >= (0.87 if "fashion" in words else 0.63)
