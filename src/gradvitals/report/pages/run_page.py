"""The page of one run: the verdict and what to do, then all that was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradvitals.formatting import time, train_command, typed
from gradvitals.report.pages import phrases as words
from gradvitals.report.pages.page import (
    Html,
    command,
    details,
    document,
    facts,
    join,
    note,
    paragraph,
    section,
    show,
    table,
    tag,
)
from gradvitals.report.pages.run_sections import WANTED, clipping, gradients, layers, metrics
from gradvitals.results.curves import read_curves
from gradvitals.results.record import Record
from gradvitals.results.status import Status


def run_page(record: Record, with_remedy: words.WithRemedy) -> str:
    """Returns the page of a run, complete in one file.

    Args:
        record: the run.
        with_remedy: puts a remedy's overrides into those that were typed, for the commands that the page recommends.

    Example:
        >>> from pathlib import Path
        >>> from gradvitals.results.result import Result
        >>> record = Record(Path("runs/a"), Result(Status.FAILED, "no <disk> space"))
        >>> page = run_page(record, lambda typed, remedy: [*typed, *remedy])
        >>> "no &lt;disk&gt; space" in page
        True
    """
    curves = read_curves(record.folder, WANTED)
    measured = [metrics(record, curves), gradients(record, curves), clipping(record, curves), layers(record, curves)]
    sections = [_to_do(record, with_remedy), *measured, _config(record), _environment(record)]
    title = f"{record.verdict or record.status}: {record.name}"
    return document(title, _header(record), [part for part in sections if part])


def _header(record: Record) -> list[Html]:
    found = record.vitals.get("findings") or []
    lines = [tag("p", record.folder.absolute().name, class_="over"), tag("h1", _headline(record))]
    if found:
        lines.append(tag("p", _evidence(record, found[0]), class_="lede"))
    if symptoms := [finding["rule"] for finding in found[1:]]:
        lines.append(paragraph(f"With it, as symptoms: {', '.join(symptoms)}."))
    if place := record.result.non_finite:
        lines.append(paragraph(f"Not finite from step {place.step} on: {place.where}."))
    if reason := record.result.reason:
        lines.append(paragraph(f"{record.status}: {reason}"))
    return [*lines, paragraph(tag("code", train_command(words.alone(record)))), _facts(record)]


def _headline(record: Record) -> Html:
    """The verdict; where a run did not end well, or nothing watched it, its status."""
    if record.status.counts and record.verdict:
        return words.verdict(record)
    return join([words.status(record), ": ", words.verdict(record)]) if record.verdict else words.status(record)


def _evidence(record: Record, finding: Mapping[str, Any]) -> str:
    cause = f" ({finding['cause']})" if finding.get("cause") else ""
    where = f" Most clearly in {finding['layer']}." if finding.get("layer") else ""
    return f"At step {record.vitals.get('step')}: {finding.get('evidence')}{cause}.{where}"


def _facts(record: Record) -> Html:
    result, objective = record.result, record.objective
    pairs: list[tuple[str, object, str]] = [("status", record.status, words.STATUS.get(record.status, ""))]
    if objective:
        best, final = record.metric(objective.tag), record.metric(objective.tag, "final")
        pairs.append((f"{objective}, best", best, f"final {show(final)}"))
    if record.status is not Status.MISSING:
        speed = result.samples_per_second
        pairs.append(("steps", result.steps, f"{show(result.epochs)} epochs"))
        pairs.append(("time of the fit", time(record.seconds), f"{speed:,.0f} samples/s" if speed else ""))
        pairs.append(("parameters", result.parameters and result.parameters.trained, "trained"))
    if gain := record.vitals.get("gain_per_layer"):
        pairs.append(("gain per layer", gain, "dL/dh at a layer over the next, first step"))
    return facts(pairs)


def _to_do(record: Record, with_remedy: words.WithRemedy) -> Html:
    remedies = record.vitals.get("remedies") or []
    if not remedies:
        return section("What to do", _without_remedy(record))
    first, *others = remedies
    why = paragraph(tag("b", "First: "), first["why"], ". ", tag("span", first["source"], class_="muted"))
    parts = [why, command(words.remedy_command(record, first, with_remedy))]
    if others:
        commands = [tag("code", words.remedy_command(record, each, with_remedy)) for each in others]
        rows = [[typed, each["why"], each["source"]] for typed, each in zip(commands, others, strict=True)]
        summary = "one more remedy" if len(rows) == 1 else f"{len(rows)} more remedies"
        parts.append(details(summary, table(["command", "why", "source"], rows)))
    parts.append(paragraph("Or let all be tried, and the best be trained to its end:"))
    return section("What to do", *parts, command(typed("src/cure.py", words.alone(record))))


def _without_remedy(record: Record) -> Html:
    if record.status.is_lost:
        left = "This run left no result. If it does not run any more" if record.status is Status.MISSING else "To go on"
        again = command(typed("src/train.py", [f"resume={record.folder}"]))
        return join([paragraph(f"{left}, continue it:"), again])
    if record.verdict == words.HEALTHY:
        return paragraph("Nothing: gradients arrive and the net learns.")
    if record.verdict is None:
        return paragraph("Nothing watched this run (", tag("code", "monitor=off"), "). Without that it gets a verdict.")
    return paragraph("No remedy is known for this net.")


def _config(record: Record) -> Html:
    if not record.config:
        return section("Config", note("This run's config is not there: expected .hydra/config.yaml."))
    rows = [[tag("code", key), tag("code", value)] for key, value in words.flat(record.config).items()]
    typed = tag("code", " ".join(record.overrides)) if record.overrides else "nothing, all as the defaults have it"
    everything = details(f"All {len(rows)} keys", table(["key", "value"], rows), printed=False)
    return section("Config", paragraph("Typed: ", typed), everything)


def _environment(record: Record) -> Html:
    result = record.result
    known = {
        "commit": result.git,
        "seed": record.seed,
        "folder": record.folder,
        **result.versions,
    }
    rows: Sequence[Sequence[object]] = [[name, None if value is None else str(value)] for name, value in known.items()]
    return section("Environment", table(["what", "value"], rows))
