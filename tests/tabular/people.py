"""Tables like those that people have, drawn anew: the kinds of cells, gaps and oddities of public ones, no row of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

import numpy as np

Drawn = Callable[[int, int], tuple[list[str], list[list[object]]]]  # rows and a seed -> names and rows


def written(names: Sequence[str], rows: Sequence[Sequence[object]], separator: str = ",") -> str:
    """The text of a file."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerows([names, *rows])
    return out.getvalue()


def without(column: str, names: list[str], rows: list[list[object]]) -> tuple[list[str], list[list[object]]]:
    """The same table without a column, such as the target that is to be predicted."""
    at = names.index(column)
    return [*names[:at], *names[at + 1 :]], [[*row[:at], *row[at + 1 :]] for row in rows]


def passengers(rows: int = 400, seed: int = 0) -> tuple[list[str], list[list[object]]]:
    """Who survived: a serial number, names with commas and quotes, ages with gaps, cabins that most lack."""
    draw = np.random.default_rng(seed)
    names = ["PassengerId", "Survived", "Pclass", "Name", "Sex", "Age", "Ticket", "Fare", "Cabin", "Embarked"]
    table: list[list[object]] = []
    for at in range(rows):
        women, place = draw.random() < 0.4, int(draw.choice([1, 2, 3], p=[0.25, 0.2, 0.55]))
        age = round(float(draw.gamma(5, 6)), 0) if draw.random() < 0.8 else ""
        lives = draw.random() < 1 / (1 + np.exp(-(2.4 * women - 1.1 * (place - 2) - 0.9)))
        name = f'Doe{at}, {"Mrs" if women else "Mr"}. Jo "J{at}"'
        cabin = f"{draw.choice(list('ABC'))}{draw.integers(1, 99)}" if place == 1 and draw.random() < 0.7 else ""
        port = str(draw.choice(["S", "C", "Q"], p=[0.7, 0.2, 0.1])) if draw.random() < 0.99 else ""
        fare = round(float(draw.lognormal(3.6 - 0.8 * (place - 1), 0.4)), 4)
        sex = "female" if women else "male"
        table.append([at + 1, int(lives), place, name, sex, age, f"T{draw.integers(1e6)}", fare, cabin, port])
    return names, table


def customers(rows: int = 400, seed: int = 0) -> tuple[list[str], list[list[object]]]:
    """Who leaves: decimal commas, yes and no with blanks, a blank cell among numbers, a row of totals."""
    draw = np.random.default_rng(seed)
    names = ["Kunden-Nr.", "Geschlecht", "Monate", "Vertrag", "Monatsgebühr", "Summe bisher", "Abwanderung"]
    table: list[list[object]] = []
    for at in range(rows):
        months, fee = int(draw.integers(0, 72)), round(float(draw.uniform(20, 110)), 2)
        bound = str(draw.choice(["monatlich", "ein Jahr", "zwei Jahre"]))
        leaves = draw.random() < 1 / (1 + np.exp(0.08 * months - 0.03 * fee + 2.0 * (bound != "monatlich") - 0.4))
        total = f"{months * fee:.2f}".replace(".", ",") if months else " "
        said = ("Ja" if leaves else "Nein") + " " * int(draw.integers(0, 2))
        table.append(
            [f"K-{at:05d}", str(draw.choice(["w", "m"])), months, bound, f"{fee:.2f}".replace(".", ","), total, said]
        )
    return names, table


def houses(rows: int = 400, seed: int = 0, mistyped: Sequence[int] = ()) -> tuple[list[str], list[list[object]]]:
    """What a house costs: dollars with thousands, postal codes, -999 for unknown, areas that are mistyped in some rows."""
    draw = np.random.default_rng(seed)
    names = ["id", "price", "bedrooms", "area (sqft)", "zip", "year built", "lot"]
    table: list[list[object]] = []
    for at in range(rows):
        area, built = float(draw.normal(2000, 500)), int(draw.integers(1920, 2015))
        code = str(draw.choice(["01002", "01003", "02139"]))
        price = 150 * area + 900 * (built - 1920) + 80_000 * (code == "02139") + draw.normal(0, 10_000)
        rooms = int(draw.integers(1, 6)) if draw.random() < 0.95 else -999
        seen = 99_999_999 if at in mistyped else round(area)
        table.append(
            [7_129_300_520 + 37 * at, f"${price:,.0f}", rooms, seen, code, built, f"{draw.uniform(0.1, 2):.2f} acres"]
        )
    return names, table


def payments(rows: int = 20_000, seed: int = 0) -> tuple[list[str], list[list[object]]]:
    """Which payments are a fraud: one of 500."""
    draw = np.random.default_rng(seed)
    names = ["Time", *(f"V{at}" for at in range(1, 7)), "Amount", "Class"]
    fraud = np.zeros(rows, bool)
    fraud[draw.choice(rows, rows // 500, replace=False)] = True
    values = draw.normal(size=(rows, 6)) + 2.5 * fraud[:, None] * np.array([1, -1, 1, 0, 0, 0])
    amounts, times = draw.lognormal(3, 1, rows), np.sort(draw.integers(0, 172_800, rows))
    table = [
        [int(time), *(f"{value:.4f}" for value in row), f"{amount:.2f}", int(is_fraud)]
        for time, row, amount, is_fraud in zip(times, values, amounts, fraud, strict=True)
    ]
    return names, table


def sales(rows: int = 700, seed: int = 0) -> tuple[list[str], list[list[object]]]:
    """How much is sold on a day: dates with points, a holiday that most lack, numbers with decimal commas."""
    draw = np.random.default_rng(seed)
    first = np.datetime64("2022-01-01") + 365 * seed
    names = ["Datum", "Filiale", "Rabatt", "Umsatz"]
    table: list[list[object]] = []
    for at in range(rows):
        day = first + at // 2
        year, month, date = str(day).split("-")
        weekend, branch = int((day - np.datetime64("2022-01-03")).astype(int) % 7 >= 5), "AB"[at % 2]
        discount = int(draw.choice([0, 5, 10]))
        sold = 1000 + 400 * weekend + 150 * (branch == "B") + 30 * discount + draw.normal(0, 40)
        amount = f"{sold:,.2f}".replace(",", "x").replace(".", ",").replace("x", ".")
        table.append([f"{date}.{month}.{year}", branch, f"{discount} %", f"{amount} €"])
    return names, table
