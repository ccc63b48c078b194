"""What was read of the table that a run was trained on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from gradvitals.report.pages import phrases
from gradvitals.report.pages.page import Html, bar, command, facts, join, note, paragraph, section, table, tag
from gradvitals.results.record import Record
from gradvitals.tabular.description import ColumnDescription, Remark, TableDescription

TITLE = "Table"
HEAD = ("column", "kind", "values", "missing", "imputed", "scaled or encoded", "features")


def table_section(record: Record, with_remedy: phrases.WithRemedy) -> Html | None:
    """Returns the rows, classes and columns of a run's table, with the remarks; None where its data are no table."""
    if record.result.table is None:
        return None
    try:
        found = TableDescription.from_dict(record.result.table)
    except ValueError:
        return section(TITLE, note("The description of the table in result.json has a shape that is not known."))
    parts = [_facts(found), paragraph(tag("code", found.path), f": {found.written}."), *_rows(found)]
    parts += [_remark(record, remark, with_remedy) for remark in found.remarks]
    if found.classes:
        parts.append(_classes(found.classes))
    return section(TITLE, *parts, _columns(found.columns))


def _facts(found: TableDescription) -> Html:
    left_out = sum(rows.rows for rows in found.left_out)
    features = sum(column.features for column in found.columns)
    splits = [(name, rows, "rows") for name, rows in found.splits.items()]
    of_the_file = f"{left_out:,} left out" if left_out else "all of the file"
    of_the_columns = f"of {len(found.columns):,} columns"
    target = ("target", found.target, f"{found.task}: {found.task_source}")
    return facts([("rows", found.rows, of_the_file), ("features", features, of_the_columns), target, *splits])


def _rows(found: TableDescription) -> list[Html]:
    reasons = [
        paragraph(f"{rows.rows:,} left out: {rows.reason}", _examples(rows.examples), ".") for rows in found.left_out
    ]
    return [*reasons, paragraph(f"Split: {found.split_by}.")] if found.split_by else reasons


def _examples(examples: Sequence[str]) -> Html:
    cells = (tag("code", example or '""') for example in examples)
    return join([": ", join(cells, ", ")]) if examples else Html()


def _remark(record: Record, remark: Remark, with_remedy: phrases.WithRemedy) -> Html:
    text = paragraph(tag("b", "Remark: "), remark.text, ". To change it:" if remark.setting else ".")
    return join([text, command(_retrain(record, remark.setting, with_remedy))]) if remark.setting else text


def _retrain(record: Record, setting: str, with_remedy: phrases.WithRemedy) -> str:
    try:
        overrides = shlex.split(setting)
    except ValueError:  # the file was edited: an open quote
        return setting
    return phrases.remedy_command(record, {"overrides": overrides}, with_remedy)


def _classes(classes: dict[str, int]) -> Html:
    largest, rows = (max(1, each(classes.values())) for each in (max, sum))
    cells = [[name, count, f"{count / rows:.1%}", bar(count / largest)] for name, count in classes.items()]
    return table(("class", "rows", "share", ""), cells)


def _columns(columns: Sequence[ColumnDescription]) -> Html:
    rows = [
        [
            tag("code", column.name, class_="key"),
            column.kind,
            column.detail,
            column.missing or None,
            column.imputed,
            column.scaled,
            column.features or None,
        ]
        for column in columns
    ]
    used = [i for i, _ in enumerate(HEAD) if any(row[i] not in ("", None) for row in rows)]
    return table([HEAD[i] for i in used], [[row[i] for i in used] for row in rows])
