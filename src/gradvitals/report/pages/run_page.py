"""The page of one run: the verdict and what to do, then everything that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradvitals.diagnosis.outcome import HEALTHY, NOT_LEARNING, UNDECIDED
from gradvitals.formatting import duration, number, typed
from gradvitals.report.pages import phrases
from gradvitals.report.pages.comparison import plain_by_key
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
    table,
    tag,
)
from gradvitals.report.pages.run_sections import WANTED, clipping, gradients, layers, metrics
from gradvitals.report.pages.table_section import table_section
from gradvitals.report.pages.time_section import through_time
from gradvitals.results.curves import read_curves
from gradvitals.results.record import Record
from gradvitals.results.status import Status


def run_page(record: Record, with_remedy: phrases.WithRemedy) -> str:
    """Returns the page of a run, complete in one file.

    Args:
        with_remedy: adds a remedy to the overrides of a run, for the commands that the page recommends.

    Example:
        >>> from pathlib import Path
        >>> from gradvitals.results.result import Result
        >>> record = Record(Path("runs/a"), Result(Status.FAILED, "no <disk> space"))
        >>> page = run_page(record, lambda typed, remedy: [*typed, *remedy])
        >>> "no &lt;disk&gt; space" in page
        True
    """
    curves = read_curves(record.folder, WANTED)
    measured = [metrics(record, curves), gradients(record, curves), through_time(record)]
    measured += [clipping(record, curves), layers(record, curves)]
    table_of_data = table_section(record, with_remedy)
    sections = [_to_do(record, with_remedy), *measured, table_of_data, _config(record), _environment(record)]
    return document(f"{record.verdict or record.status}: {record.name}", _header(record), sections)


def _header(record: Record) -> list[Html]:
    found = record.vitals.get("findings") or []
    lines = [tag("p", record.folder.absolute().name, class_="over"), tag("h1", _headline(record))]
    if found:
        lines.append(tag("p", _evidence(record, found[0]), class_="lede"))
    elif outcome := phrases.outcome(record):
        lines.append(tag("p", outcome, class_="lede"))
    if symptoms := [finding["rule"] for finding in found[1:]]:
        lines.append(paragraph(f"Also found, as symptoms of it: {', '.join(symptoms)}."))
    if place := record.result.non_finite:
        lines.append(paragraph(f"Not finite from step {place.step} on: {place.where}."))
    if reason := record.result.reason:
        lines.append(paragraph(f"{record.status}: {reason}"))
    return [*lines, paragraph(tag("code", typed("train", phrases.alone(record)))), _facts(record)]


def _headline(record: Record) -> Html:
    if record.status.counts and record.verdict:
        return phrases.verdict(record)
    return join([phrases.status(record), ": ", phrases.verdict(record)]) if record.verdict else phrases.status(record)


def _evidence(record: Record, finding: Mapping[str, Any]) -> str:
    cause = f" ({finding['cause']})" if finding.get("cause") else ""
    where = f" Most clearly in {finding['layer']}." if finding.get("layer") else ""
    return f"At step {record.vitals.get('step')}: {finding.get('evidence')}{cause}.{where}"


def _facts(record: Record) -> Html:
    result, objective = record.result, record.objective
    pairs: list[tuple[str, object, str]] = [("status", record.status, phrases.STATUS.get(record.status, ""))]
    if objective:
        best, final = record.metric(objective.tag), record.metric(objective.tag, "final")
        pairs.append((f"{objective}, best", best, f"final {number(final)}"))
    if record.status is not Status.MISSING:
        speed = result.samples_per_second
        pairs.append(("steps", result.steps, f"{number(result.epochs)} epochs"))
        pairs.append(
            ("training time", result.seconds and duration(result.seconds), f"{speed:,.0f} samples/s" if speed else "")
        )
        pairs.append(("parameters", result.parameters and result.parameters.trained, "trained"))
    if gain := record.vitals.get("gain_per_layer"):
        pairs.append(("gain per layer", gain, "dL/dh of a layer over that of the next, first step"))
    return facts(pairs)


def _to_do(record: Record, with_remedy: phrases.WithRemedy) -> Html:
    remedies = record.vitals.get("remedies") or []
    why = phrases.outcome(record)
    outcome = [paragraph(phrases.verdict(record), f": {why}" if why else "")] if record.verdict else []
    if not remedies:
        return section("What to do", *outcome, _without_remedy(record))
    first, *others = remedies
    said = paragraph(tag("b", "First: "), first["why"], ". ", tag("span", first["source"], class_="muted"))
    parts = [*outcome, said, command(phrases.remedy_command(record, first, with_remedy))]
    if others:
        commands = [tag("code", phrases.remedy_command(record, each, with_remedy)) for each in others]
        rows = [[typed, each["why"], each["source"]] for typed, each in zip(commands, others, strict=True)]
        summary = "one more remedy" if len(rows) == 1 else f"{len(rows)} more remedies"
        parts.append(details(summary, table(["command", "why", "source"], rows)))
    parts.append(paragraph("Or try all remedies, and train with the best one to the end:"))
    return section("What to do", *parts, command(typed("cure", phrases.alone(record))))


def _without_remedy(record: Record) -> Html:
    if record.status.is_lost:
        missing = "There is no result of this run. If it is no longer running, resume it:"
        words = missing if record.status is Status.MISSING else "Resume the run:"
        return join([paragraph(words), command(typed("train", [f"resume={record.folder}"]))])
    if record.verdict == HEALTHY:
        return paragraph("Nothing: the gradients reach every layer and the network learns.")
    if phrases.verdict_name(record) == UNDECIDED:
        return join([paragraph("A longer run may decide it:"), command(phrases.longer_command(record))])
    if record.verdict == NOT_LEARNING:
        return paragraph("No cause was found. Look at the data and the labels, then at the loss and what it is given.")
    if record.verdict is None:
        off = tag("code", "monitor=off")
        return paragraph("This run was not monitored (", off, "). A run that is monitored gets a verdict.")
    findings = record.vitals.get("findings") or [{}]
    return paragraph(findings[0].get("advice") or "No remedy is known for this network.")


def _config(record: Record) -> Html:
    if not record.config:
        return section("Config", note("The config of this run is missing: expected .hydra/config.yaml."))
    rows = [[tag("code", key), tag("code", value)] for key, value in plain_by_key(record.config).items()]
    overrides = tag("code", " ".join(record.overrides)) if record.overrides else "none, all values are defaults"
    everything = details(f"All {len(rows)} keys", table(["key", "value"], rows), printed=False)
    return section("Config", paragraph("Overrides: ", overrides), everything)


def _environment(record: Record) -> Html:
    known = {"commit": record.result.git, "seed": record.seed, "folder": record.folder}
    known |= record.result.versions
    # As text, because a seed is no number to be aligned or grouped by thousands.
    rows = [[name, None if value is None else str(value)] for name, value in known.items()]
    return section("Environment", table(["what", "value"], rows))
