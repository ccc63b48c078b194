"""The report of a cure in Markdown: what to do, then what is wrong and what was tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradvitals.formatting import markdown_text, number
from gradvitals.report.tables.columns import markdown_table


def page(found: Mapping[str, Any]) -> str:
    """Returns the report, from the content of ``cure.json``."""
    found = _escaped(found)
    sick = f"`{' '.join(found['overrides']) or 'the default config'}`"
    lines = [f"# {_headline(found)}", "", *_to_do(found, sick), ""]
    if found["outcome"] not in ("nothing to cure", "undecided"):
        lines += ["## What is wrong", "", f"{sick} is {found['evidence']}.", ""]
    if found["remedies"]:
        lines += ["## What was tried", "", _table(found), "", *_confirmations(found), "", *_cost(found), ""]
    if found["confirmed"]:
        lines += ["![Gradient by layer and validation, before and after](cure.png)", ""]
    return "\n".join(lines)


def _escaped(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _escaped(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_escaped(value) for value in content]
    return markdown_text(content) if isinstance(content, str) else content


def _headline(found: Mapping[str, Any]) -> str:
    if found["outcome"] == "cured":
        return f"Cured by {' '.join(found['cured'])}"
    names = {"nothing to cure": "Healthy: nothing to cure", "undecided": "Undecided: not known whether it is sick"}
    return names.get(found["outcome"], "Not cured")


def _to_do(found: Mapping[str, Any], sick: str) -> list[str]:
    if found["outcome"] == "nothing to cure":
        return [f"{sick} trains: {_metric(found['sick'])} after {found['sick']['steps']} steps."]
    if found["outcome"] == "undecided":
        return [f"{sick}: {found['evidence']}.", "", "A longer run may decide it. Type", "", f"    {found['command']}"]
    if not found["remedies"]:
        return [f"No config mends it. {found['advice'] or 'Check the data, the labels and the loss.'}"]
    if found["outcome"] == "cured":
        full = next(c["effect"] for c in found["confirmed"] if c["overrides"] == found["cured"])
        change = f"{_metric(found['sick'])} before, {_metric(full)} after"
        return ["Type", "", f"    {found['command']}", "", f"This trains from scratch to the end: {change}."]
    return [
        "None of the known remedies gave a healthy run that is clearly better. Start from the one that came nearest. "
        "Then try a longer training (`trainer.max_epochs`) and another `seed`, and check the data."
    ]


def _table(found: Mapping[str, Any]) -> str:
    rows = [
        [f"`{' '.join(remedy['overrides'])}`", remedy["why"], remedy["source"], *_effect(remedy["effect"])]
        for remedy in found["remedies"]
    ]
    return markdown_table(["change", "why", "source", "verdict", "metric", "loss gone"], rows)


def _effect(effect: Mapping[str, Any] | None) -> list[str]:
    if effect is None:
        return ["not tried: a smaller change was enough", "", ""]
    if effect["status"] == "failed":
        return [f"failed: {effect['reason']}", "", ""]
    ended = "" if effect["status"] == "completed" else f" ({effect['status']})"
    return [f"{effect['verdict']}{ended}", _metric(effect), _share(effect["learnt"])]


def _confirmations(found: Mapping[str, Any]) -> list[str]:
    lines = []
    for each in found["confirmed"]:
        full = each["effect"]
        ended = f"{full['status']}, {full['verdict']}, {_metric(full)}, {full['steps']} steps, {full['seconds']:.1f} s"
        lines.append(f"At full length `{' '.join(each['overrides'])}`: {ended}.")
    return lines


def _cost(found: Mapping[str, Any]) -> list[str]:
    steps, seconds = found["steps"], found["seconds"]
    parts = ", ".join(
        f"{name.replace('_', ' ')} {steps[name]} ({seconds[name]:.1f} s)" for name in steps if steps[name]
    )
    full = f"one full training has {found['steps_planned']}"
    return [f"Steps: {parts}; {full}. Together {found['cost']:.2f} full trainings, {seconds['all']:.0f} s in all."]


def _metric(effect: Mapping[str, Any]) -> str:
    return f"{effect['objective']} {number(effect['best'], 3)}" if effect["best"] is not None else "no metric"


def _share(share: float | None) -> str:
    return f"{share:.0%}" if share is not None else ""
