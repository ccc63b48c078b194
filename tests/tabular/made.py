"""Descriptions of tables made by hand."""

from dataclasses import replace

from gradvitals.formatting import setting
from gradvitals.tabular.description import ColumnDescription, LeftOutRows, Remark, TableDescription

CHURN = TableDescription(
    path="churn.csv",
    written="cp1252, separator ;, decimal comma",
    rows=700,
    left_out=(
        LeftOutRows(12, "no value of Churn", ("", "?", "NA")),
        LeftOutRows(1, "totals", ("Total;;;712",)),
    ),
    target="Churn",
    task="binary",
    task_source="two values",
    classes={"No": 514, "Yes": 186},
    columns=(
        ColumnDescription("CustomerID", "left out", "another value in every row"),
        ColumnDescription("Age", "number", "18 to 93", 3, "the median, 38", "standard deviation", 1),
        ColumnDescription(
            "Monthly charge incl. all taxes and fees [€]", "number", "0 to 1,234.5", 0, "", "standard deviation", 1
        ),
        ColumnDescription(
            "Contract", "category", "monthly 400, yearly 200, two years 100", 7, "a level of its own", "one-hot", 4
        ),
        ColumnDescription("Since", "date", "2019-01-31 to 2024-12-01, day.month.year", features=3),
        ColumnDescription("Churn", "target", "Yes, No"),
    ),
    splits={"train": 490, "val": 70, "test": 140},
    split_by="at random, stratified by class",
    remarks=(
        Remark("Age: -999 occurs 40 times and was read as a number", setting("data.missing", [-999])),
        Remark(
            "Monthly charge incl. all taxes and fees [€] predicts the target almost alone",
            setting("data.drop", ["CustomerID", "Monthly charge incl. all taxes and fees [€]"]),
        ),
        Remark("the smaller class has 26.6 % of the rows"),
    ),
)
MANY_COLUMNS = tuple(
    ColumnDescription(f"x{i}", "left out", "constant: 0")
    if i % 20 == 0
    else ColumnDescription(f"x{i}", "number", "0 to 1", features=1)
    for i in range(300)
)
WIDE = replace(CHURN, columns=(*MANY_COLUMNS, ColumnDescription("when", "date", "2020 to 2021", features=3)))
HOSTILE = "<script>alert(1)</script>\x1b[31m\n\u202e"
