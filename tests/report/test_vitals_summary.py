"""The summary of a monitor, as text and as HTML."""

import re

from gradvitals.diagnosis.diagnose import Diagnosis
from gradvitals.diagnosis.finding import Finding
from gradvitals.report.pages.notebook import vitals_card
from gradvitals.report.tables.vitals_summary import LayerNumbers, VitalsSummary, telling, text

CAUSE = Finding(
    "vanishing", 7, 50, -6.0, -2.0, "layer 7 receives nothing", "scale of the weights", "Use a norm: x < 1."
)
SYMPTOM = Finding("stalled", None, 50, 0.0, 0.1, "the loss does not fall")
SICK = Diagnosis("vanishing", 1.0, 50, (CAUSE, SYMPTOM), "")


def layers(number: int, **numbers: float) -> list[LayerNumbers]:
    return [LayerNumbers(i, f"net.{i}", {"grad_norm": 1.0, "dead_fraction": 0.0, **numbers}) for i in range(number)]


def names(found: VitalsSummary) -> list[str]:
    return [f"... {each}" if isinstance(each, int) else each.name for each in telling(found)]


def test_a_cause_comes_with_its_evidence_its_symptoms_and_advice():
    assert text(VitalsSummary(SICK, layers(1), (0, 50), 0.25)).splitlines() == [
        "verdict   vanishing at step 50: layer 7 receives nothing (scale of the weights)",
        "with it   stalled: the loss does not fall",
        "advice    Use a norm: x < 1.",
        "measured  steps 0 to 50; the table is of step 50; clipping changed 25% of the",
        "          measured steps",
        "",
        "   layer  dL/dW  dead",
        "0  net.0   1.00   0 %",
    ]


def test_html_has_the_same():
    html = vitals_card(VitalsSummary(SICK, layers(1), (0, 50), 0.25), b"\x89PNG")
    words = re.sub(r"<[^>]*>", "", html)
    assert "✕ vanishing at step 50 layer 7 receives nothing (scale of the weights)" in words
    assert "With it: stalled: the loss does not fall" in words
    assert "What may help: Use a norm: x &lt; 1." in words
    assert "Measured: steps 0 to 50" in words
    assert "data:image/png;base64,iVBORw==" in html
    assert "✓ healthy" in vitals_card(VitalsSummary(Diagnosis("healthy", 0.0, None, (), "it learns")))
    assert "? undecided" in vitals_card(VitalsSummary(Diagnosis()))


def test_a_verdict_without_a_finding_has_its_reason():
    found = VitalsSummary(Diagnosis("not_learning", 1.0, 30, (), "the loss is that of a constant output"), (), (3, 3))
    assert text(found).splitlines() == [
        "verdict   not_learning at step 30: the loss is that of a constant output",
        "measured  step 3",
    ]


def test_of_many_layers_the_telling_ones_are_shown():
    assert names(VitalsSummary(Diagnosis(), layers(12))) == [f"net.{i}" for i in range(12)]
    many = layers(40)
    many[20] = LayerNumbers(20, "net.20", {"grad_norm": 1.0, "dead_fraction": 0.5})
    many[30] = LayerNumbers(30, "net.30", {"grad_norm": 1e-9, "dead_fraction": float("nan")})
    expected = ["net.0", "net.1", "... 5", "net.7", "... 12", "net.20", "... 9", "net.30", "... 7", "net.38", "net.39"]
    assert names(VitalsSummary(SICK, many, (0, 50))) == expected


def test_a_finding_of_a_layer_that_is_not_there_is_no_reason_to_fail():
    assert names(VitalsSummary(SICK, layers(3), (0, 50))) == ["net.0", "net.1", "net.2"]
    assert text(VitalsSummary(SICK, [], (0, 50)))


def test_control_characters_of_a_name_do_not_reach_the_terminal():
    found = VitalsSummary(Diagnosis(), [LayerNumbers(0, "a\x1b[31m", {"grad_norm": 1.0})], (0, 0))
    assert "\x1b" not in text(found)
    assert "\x1b" not in vitals_card(found)
