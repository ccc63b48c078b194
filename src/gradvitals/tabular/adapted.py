"""How the cells of another table are read, with the preparation of the training table."""

from __future__ import annotations

from dataclasses import replace

from gradvitals.tabular.dates import dates
from gradvitals.tabular.fitted_columns import DateColumn, FittedColumn, NumberColumn
from gradvitals.tabular.kinds import KindOptions, likely_decimal
from gradvitals.tabular.labels import canonical
from gradvitals.tabular.missing import MissingWords
from gradvitals.tabular.numbers import DECIMALS, typed_decimal
from gradvitals.tabular.preparation import Preparation
from gradvitals.tabular.read_csv import TextTable


def adapted(preparation: Preparation, table: TextTable, options: KindOptions) -> Preparation:
    """Returns the preparation of a training table with what decides how the cells of another table are read.

    What ``options`` type as missing is missing, too. The decimal sign is the typed one, or that of the other table,
    where its columns or its separator decide it; a typed date format is that of the columns that it fits.
    """
    target = preparation.target
    absent = dict.fromkeys([*target.absent, *(canonical(text) for text in options.target_missing)])
    known, typed = preparation.missing.typed, options.missing.typed
    missing = MissingWords(known if typed is None else tuple(dict.fromkeys([*(known or ()), *typed])))
    likely = likely_sign(table, replace(options, missing=missing))
    decimal = typed_decimal(options.decimal, options.thousands) or DECIMALS.get(likely)

    def reads_more(column: DateColumn) -> bool:
        cells = table.cells[column.name]
        found = [dates(cells[~missing.absent(cells)], how) for how in (options.date_format, column.format)]
        shares = [each.share if each else 0.0 for each in found]
        return shares[0] > 0 and shares[0] >= shares[1]

    def read(column: FittedColumn) -> FittedColumn:
        if isinstance(column, NumberColumn) and decimal:
            return replace(column, format=replace(column.format, decimal=decimal))
        if isinstance(column, DateColumn) and options.date_format != "auto" and column.name in table.cells:
            return replace(column, format=options.date_format) if reads_more(column) else column
        return column

    how = replace(target.format, decimal=decimal) if decimal else target.format
    return replace(
        preparation,
        target=replace(target, absent=tuple(absent), format=how),
        columns=tuple(map(read, preparation.columns)),
        missing=missing,
    )


def likely_sign(table: TextTable, options: KindOptions) -> str:
    """Returns the decimal sign of a table: that of its columns, else the comma beside semicolons; empty: unknown."""
    return likely_decimal(table.cells, options) or ("," if table.separator == ";" else "")
