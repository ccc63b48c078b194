"""What a cure has found: a page that opens with what to do, and a picture of before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradvitals.formatting import markdown_text


def page(found: Mapping[str, Any]) -> str:
    """The report in Markdown.

    Args:
        found: the content of ``cure.json``.
    """
    found = _words_made_safe(found)
    sick = f"`{' '.join(found['overrides']) or 'the default config'}`"
    lines = [f"# {_headline(found)}", "", *_to_do(found, sick), ""]
    if found["outcome"] != "nothing to cure":
        lines += ["## What is wrong", "", f"{sick} is {found['evidence']}.", ""]
        lines += ["## What was tried", "", *_table(found), "", *_confirmations(found), "", *_cost(found), ""]
    if found["confirmed"]:
        lines += ["![Gradient by layer and validation, before and after](cure.png)", ""]
    return "\n".join(lines)


def _words_made_safe(content: Any) -> Any:
    """The same content, every text in it as Markdown shows it."""
    if isinstance(content, Mapping):
        return {key: _words_made_safe(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_words_made_safe(value) for value in content]
    return markdown_text(content) if isinstance(content, str) else content


def _headline(found: Mapping[str, Any]) -> str:
    if found["outcome"] == "cured":
        return f"Cured by {' '.join(found['cured'])}"
    return {"nothing to cure": "Healthy: nothing to cure"}.get(found["outcome"], "Not cured")


def _to_do(found: Mapping[str, Any], sick: str) -> list[str]:
    if found["outcome"] == "nothing to cure":
        return [f"{sick} trains: {_metric(found['sick'])} after {found['sick']['steps']} steps."]
    if found["outcome"] == "cured":
        full = next(c["effect"] for c in found["confirmed"] if c["overrides"] == found["cured"])
        change = f"{_metric(found['sick'])} before, {_metric(full)} after"
        return ["Type", "", f"    {found['command']}", "", f"It trains from scratch to its end: {change}."]
    return [
        "None of the known remedies gave a healthy training that is clearly better. The one that came nearest is the "
        "first to go on from; a longer training (`trainer.max_epochs`), another `seed` or the data themselves are next."
    ]


def _table(found: Mapping[str, Any]) -> list[str]:
    rows = ["| change | why | source | verdict | metric | loss gone |", "| --- | --- | --- | --- | --- | --- |"]
    for remedy in found["remedies"]:
        effect = remedy["effect"]
        cells = [f"`{' '.join(remedy['overrides'])}`", remedy["why"], remedy["source"], *_effect(effect)]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _effect(effect: Mapping[str, Any] | None) -> list[str]:
    if effect is None:
        return ["not tried: a smaller change does", "", ""]
    if effect["status"] == "failed":
        return [f"failed: {effect['reason']}", "", ""]
    ended = "" if effect["status"] == "completed" else f" ({effect['status']})"
    return [f"{effect['verdict']}{ended}", _metric(effect), _percent(effect["learnt"])]


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
    return f"{effect['objective']} {effect['best']:.3g}" if effect["best"] is not None else "no metric"


def _percent(share: float | None) -> str:
    return f"{100 * share:.0f} %" if share is not None else ""
