"""The look at a table in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from gradvitals.formatting import counts, shortened, visible, wrapped
from gradvitals.tabular.description import ColumnDescription, LeftOutRows, Remark, TableDescription

INDENT = 13  # of the text behind a label, as in the closing lines of a run
MOST_COLUMNS, MOST_CLASSES, MOST_REMARKS, MOST_LEFT_OUT = 30, 10, 10, 10  # that are shown, unless all are asked for
LONGEST_NAME = 24  # to which the other names are aligned
LONGEST_DETAIL = 160  # characters
PLURAL = {"number": "numbers", "category": "categories", "date": "dates", "time": "times", "group": "groups"}
GLUE = "\ue000"  # between words that one line contains; no visible text contains it
EMPTY = '""'  # a cell without a value
ALL = "debug=table lists all"


def lines(description: TableDescription, width: int = 80, full: bool = False) -> list[str]:
    """Returns what was read of a table, in lines of at most ``width`` columns where no name or override is longer.

    Args:
        full: whether every column, class and remark is listed. Otherwise a table of many columns is shortened to
            those that are not simply numbers or categories.

    Example:
        >>> age = ColumnDescription("Age", "number", "18 to 93", 3, "the median 38", "standard deviation", 1)
        >>> splits = {"train": 7, "val": 1, "test": 2}
        >>> print(*lines(TableDescription("a.csv", "UTF-8, separator ;", 10, (), "Paid", "binary", "two values",
        ...     {"no": 8, "yes": 2}, (age,), splits, "stratified by class")), sep="\\n")
        table        a.csv: UTF-8, separator ;
        rows         10 used
        target       Paid: binary (two values)
        classes      no 8, yes 2; yes is the positive one
        splits       train 7, val 1, test 2, stratified by class
        columns      1 number: 1 feature
          Age  number    18 to 93; 3 missing, replaced by the median 38; scaled by
               standard deviation
    """
    found = description
    rows = [("table", f"{found.path}: {found.written}"), ("rows", f"{found.rows:,} used")]
    rows += [("left out", _left_out(each)) for each in found.left_out]
    rows.append(("target", _target(found)))
    if found.classes:
        positive = f"; {list(found.classes)[-1]} is the positive one" if found.task == "binary" else ""
        classes = _shortened([f"{name} {n:,}" for name, n in found.classes.items()], MOST_CLASSES, full)
        rows.append(("classes", f"{classes}{positive}"))
    rows.append(("splits", ", ".join([*(f"{name} {n:,}" for name, n in found.splits.items()), found.split_by])))
    rows.append(("columns", _summary(found)))
    made = [_line(f"{label:<{INDENT}}{text}", INDENT, width) for label, text in rows]
    made += [*_columns(found, width, full), *_remarks(found.remarks, width, full)]
    return [line for several in made for line in several.split("\n")]


def _line(text: str, indent: int, width: int) -> str:
    return wrapped(_visible(text), indent, width).replace(GLUE, " ")


def _visible(text: str) -> str:
    """Text on one line; the glue that it contains is ours, because visible text has none."""
    return GLUE.join(visible(" ".join(part.splitlines())) for part in text.split(GLUE))


def _shortened(names: Sequence[str], most: int, full: bool) -> str:
    return ", ".join(names) if full or len(names) <= most else f"{shortened(names, most)} ({ALL})"


def _left_out(left_out: LeftOutRows) -> str:
    examples = ", ".join(example or EMPTY for example in left_out.examples)
    rows = f"{left_out.rows:,} {'row' if left_out.rows == 1 else 'rows'}, {left_out.reason}"
    return f"{rows}: {examples}" if examples else rows


def _target(found: TableDescription) -> str:
    column = next((each for each in found.columns if each.kind == "target"), None)
    parts = [f"{found.target}: {found.task} ({found.task_source})"]
    if column is not None:
        parts += [part for part in (column.detail if not found.classes else "", _scaled(column)) if part]
    return "; ".join(parts)


def _scaled(column: ColumnDescription) -> str:
    """How values became numbers for the network; a category is encoded, not scaled."""
    return f"scaled by {column.scaled}" if column.scaled and column.kind != "category" else column.scaled


def _summary(found: TableDescription) -> str:
    inputs = [column for column in found.columns if column.kind != "target"]
    kinds = Counter(column.kind for column in inputs)
    features = sum(column.features for column in inputs)
    named = Counter({kind if n == 1 else PLURAL.get(kind, kind): n for kind, n in kinds.items()})
    return f"{counts(named) or 'none'}: {features:,} {'feature' if features == 1 else 'features'}"


def _columns(found: TableDescription, width: int, full: bool) -> Iterator[str]:
    inputs = [column for column in found.columns if column.kind != "target"]
    shown = inputs
    if not full and len(inputs) > MOST_COLUMNS:
        special = [column for column in inputs if column.kind not in ("number", "category")]
        shown = [column for column in special if column.kind != "left out"]
        shown += [column for column in special if column.kind == "left out"][:MOST_LEFT_OUT]
    names = [_visible(column.name) for column in shown]
    aligned = max((len(name) for name in names if len(name) <= LONGEST_NAME), default=0)
    for name, column in zip(names, shown, strict=True):
        yield _line(f"  {name:<{aligned}}  {column.kind:<8}  {_detail(column, full)}".rstrip(), aligned + 4, width)
    if len(shown) < len(inputs):
        yield _line(f"  and {len(inputs) - len(shown):,} more columns: {ALL}", INDENT, width)


def _detail(column: ColumnDescription, full: bool) -> str:
    detail = column.detail
    if not full and len(detail) > LONGEST_DETAIL:
        detail = f"{detail[:LONGEST_DETAIL]}..."
    imputed = f", replaced by {column.imputed}" if column.imputed else ""
    missing = f"{column.missing:,} missing{imputed}" if column.missing else ""
    features = f"{column.features:,} features" if column.features > 1 else ""
    return "; ".join(part for part in (detail, features, missing, _scaled(column)) if part)


def _remarks(remarks: Sequence[Remark], width: int, full: bool) -> Iterator[str]:
    shown = remarks if full else remarks[:MOST_REMARKS]
    for remark in shown:
        decided = Remark(remark.text, remark.setting.replace(" ", GLUE))
        yield _line(f"{'remark':<{INDENT}}{decided}", INDENT, width)
    if len(shown) < len(remarks):
        yield f"{'remark':<{INDENT}}and {len(remarks) - len(shown):,} more: {ALL}"
