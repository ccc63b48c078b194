"""The page of a cure: what to do, then what is wrong, what was tried, and the training before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradvitals.formatting import duration, number, typed
from gradvitals.report.pages import phrases
from gradvitals.report.pages.figures import HOW_TO_READ, Line, curves, gradient_lines
from gradvitals.report.pages.page import (
    Drawing,
    Html,
    bar,
    command,
    document,
    facts,
    figure,
    join,
    note,
    paragraph,
    row,
    section,
    table,
    tag,
)
from gradvitals.report.pages.run_sections import NAMES
from gradvitals.report.pictures.cure import Side
from gradvitals.results.curves import ByLayer

FILE = "cured.yaml"  # the cured experiment, beside the page
HEADLINES = {"nothing to cure": "Healthy: nothing to cure", "undecided": "Undecided: not known whether it is sick"}
LOOKS: dict[str, phrases.Look] = {"cured": "good", "nothing to cure": "good", "undecided": "undecided"}
NOTHING_HELPED = (
    "None of the known remedies gave a healthy run that is clearly better. Start from the one that came nearest. Then "
    "try a longer training (trainer.max_epochs) and another seed, and check the data."
)


def cure_page(found: Mapping[str, Any], before: Side, after: Side | None = None) -> str:
    """Returns the page of a cure, complete in one file.

    Args:
        found: the content of ``cure.json``.
        before: the sick run.
        after: the cured run, or else the best that was trained at full length; None: there is none.
    """
    sides = {"before": before} | ({"after": after} if after else {})
    sections = [_to_do(found), _wrong(found), _tried(found), _gradients(sides), _curves(sides)]
    return document(_headline(found), _header(found), sections)


def _headline(found: Mapping[str, Any]) -> str:
    if found["outcome"] == "cured":
        return f"Cured by {' '.join(found['cured'])}"
    return HEADLINES.get(found["outcome"], "Not cured")


def _header(found: Mapping[str, Any]) -> list[Html]:
    look = LOOKS.get(found["outcome"], "bad")
    sick = found["sick"]
    ledes = {"nothing to cure": f"{_metric(sick)} after {sick['steps']} steps.", "undecided": found["evidence"]}
    lede = ledes.get(found["outcome"])
    return [
        tag("p", "cure", class_="over"),
        tag("h1", phrases.mark(look, _headline(found))),
        tag("p", lede, class_="lede") if lede else Html(),
        paragraph(tag("code", typed("train", found["overrides"]))),
        _facts(found),
    ]


def _facts(found: Mapping[str, Any]) -> Html:
    sick, full = found["sick"], _confirmed(found)
    ends = {"before": sick} | ({"after": full} if full else {})
    pairs = [(name, end["verdict"] or end["status"], _metric(end)) for name, end in ends.items()]
    cost = ("cost", found["cost"], f"trainings of full length, {found['steps_planned']} steps")
    return facts([*pairs, cost, ("time", duration(found["seconds"]["all"]), "in all")])


def _confirmed(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The results of the cured run, or else of the best that was trained at full length."""
    ended = found["confirmed"]
    cured = [each for each in ended if each["overrides"] == found["cured"]]
    best = next(iter([*cured, *ended]), None)
    return best and best["effect"]


def _to_do(found: Mapping[str, Any]) -> Html:
    outcome, full = found["outcome"], _confirmed(found)
    if outcome == "nothing to cure":
        parts = [paragraph("Nothing: the network learns.")]
    elif outcome == "undecided":
        parts = [paragraph("A longer run may decide it:"), command(found["command"])]
    elif not found["remedies"]:
        parts = [paragraph("No config mends it. ", found["advice"] or "Check the data, the labels and the loss.")]
    elif outcome == "cured" and full:
        change = f"{_metric(found['sick'])} before, {_metric(full)} after"
        copy = tag("code", FILE)
        said = ["This experiment is ", copy, " beside this page."]
        if found["experiment"]:
            file = tag("code", f"conf/experiment/{found['experiment']}.yaml")
            said = ["This experiment is ", file, ", which git ignores, and ", copy, " beside this page."]
        parts = [
            paragraph(f"Train the cured network from scratch to the end ({change}):"),
            command(found["command"]),
            note(*said),
        ]
    else:
        parts = [paragraph(NOTHING_HELPED)]
    return section("What to do", *parts)


def _wrong(found: Mapping[str, Any]) -> Html | None:
    if found["outcome"] in HEADLINES:
        return None
    sick = found["sick"]
    length = f"{sick['steps']} steps, {duration(sick['seconds'])}"
    return section("What is wrong", paragraph(found["evidence"]), note(f"Trained until it was diagnosed: {length}."))


def _tried(found: Mapping[str, Any]) -> Html | None:
    if not found["remedies"]:
        return None
    head = ["change", "verdict", "metric", "loss gone", "why", "source"]
    rows = [
        [_change(each), *_effect(each["effect"]), _prose(each["why"]), _prose(each["source"])]
        for each in found["remedies"]
    ]
    caption = "Remedies in short trainings, the smallest change first; after one that is enough no larger one is tried."
    return section("What was tried", table(head, rows, caption=caption), _confirmations(found), _cost(found))


def _change(remedy: Mapping[str, Any]) -> Html:
    return tag("code", " ".join(remedy["overrides"]))


def _prose(words: str) -> Html:
    return tag("span", words, class_="prose")


def _effect(effect: Mapping[str, Any] | None) -> list[object]:
    if effect is None:
        return [phrases.mark("muted", "not tried"), None, None]
    if effect["status"] == "failed":
        return [phrases.mark("bad", f"failed: {effect['reason']}"), None, None]
    learned = effect["learnt"]
    gone = None if learned is None else join([f"{learned:.0%}", bar(learned)])
    return [_ended(effect), _metric(effect), gone]


def _ended(effect: Mapping[str, Any]) -> Html:
    status = "" if effect["status"] == "completed" else f" ({effect['status']})"
    verdict = effect["verdict"]
    return phrases.mark(phrases.look_of([verdict]) if verdict else "muted", f"{verdict or 'no verdict'}{status}")


def _confirmations(found: Mapping[str, Any]) -> Html:
    if not found["confirmed"]:
        return Html()
    rows = []
    for each in found["confirmed"]:
        effect = each["effect"]
        rows.append([_change(each), _ended(effect), _metric(effect), effect["steps"], duration(effect["seconds"])])
    return table(["change", "verdict", "metric", "steps", "time"], rows, caption="Trained at full length.")


def _cost(found: Mapping[str, Any]) -> Html:
    steps, seconds = found["steps"], found["seconds"]
    done = (f"{name.replace('_', ' ')} {steps[name]} ({duration(seconds[name])})" for name in steps if steps[name])
    return note(f"Steps: {', '.join(done)}; one full training has {found['steps_planned']}.")


def _metric(effect: Mapping[str, Any]) -> str:
    return f"{effect['objective']} {number(effect['best'], 3)}" if effect["best"] is not None else "no metric"


def _gradients(sides: Mapping[str, Side]) -> Html | None:
    drawn = {name: gradient_lines(_by_layer(side)) for name, side in sides.items() if side.profiles}
    if not drawn:
        return None
    _share_axis(list(drawn.values()))
    figures = [figure(each, f"{name.capitalize()}: dL/dh by layer") for name, each in drawn.items()]
    return section("Gradient by layer", note(HOW_TO_READ), row(figures))


def _by_layer(side: Side) -> ByLayer:
    steps = sorted(side.profiles)
    deepest = max(len(norms) for norms in side.profiles.values())
    return ByLayer([f"{i}.layer {i}" for i in range(deepest)], steps, [list(side.profiles[step]) for step in steps])


def _share_axis(drawn: Sequence[Drawing]) -> None:
    lows, highs = zip(*(each["layout"]["yaxis"]["range"] for each in drawn), strict=True)
    for each in drawn:
        each["layout"]["yaxis"]["range"] = [min(lows), max(highs)]


def _curves(sides: Mapping[str, Side]) -> Html | None:
    tags = dict.fromkeys(name for side in sides.values() for name in side.curves)
    drawn = [figure(_beside(name, sides), name) for name in tags]
    return section("Validation", row(drawn)) if drawn else None


def _beside(name: str, sides: Mapping[str, Side]) -> Drawing:
    quantity = name.rpartition("/")[2]
    lines = [Line(which, side.curves.get(name, []), i, i) for i, (which, side) in enumerate(sides.items())]
    return curves(lines, NAMES.get(quantity, quantity).lower())
