"""What a new user does with tables like those that people have: train, test on a new table, predict. Three commands."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.faults.as_typed import run
from tests.tabular.people import customers, houses, passengers, payments, sales, without, written

SRC = ROOT / "src"


@dataclass(frozen=True)
class Trained:
    """A run in a folder, with all lines that its three commands wrote."""

    folder: Path
    lines: list[str]
    test: str

    def predictions(self) -> pd.DataFrame:
        (file,) = self.folder.glob("run/predictions_*.csv")
        return pd.read_csv(file)

    def metric(self, tag: str) -> float:
        words = self.test.split()
        return float(words[words.index(tag) + 1])


@pytest.fixture
def three_commands(tmp_path):
    """Trains on one file, tests and predicts two others."""

    def commands(target: str, train: bytes, test: bytes, new: bytes, *words: str) -> Trained:
        for name, content in (("table", train), ("test", test), ("new", new)):
            (tmp_path / f"{name}.csv").write_bytes(content)
        typed = ["data=csv", "data.path=table.csv", f"data.target={target}", "hydra.run.dir=run", *words]
        ended = [
            run(typed, tmp_path, 90),
            run(["run", "data.path=test.csv"], tmp_path, 60, SRC / "eval.py"),
            run(["run", "data.path=new.csv"], tmp_path, 60, SRC / "predict.py"),
        ]
        assert [each.code for each in ended] == [0, 0, 0], [each.err for each in ended]
        lines = [line for each in ended for line in (each.out + each.err).splitlines() if line.strip()]
        return Trained(tmp_path, lines, ended[1].out)

    return commands


def says_nothing_twice(lines: list[str]) -> bool:
    """Whether no remark and no warning comes again; ``rows`` is a line of each command."""
    said = Counter(line for line in lines if line.startswith(("remark", "differs")) or "warning" in line.lower())
    return all(count == 1 for count in said.values())


def test_who_survived(three_commands):
    tables = [passengers(), passengers(200, seed=1), without("Survived", *passengers(60, seed=2))]
    found = three_commands("Survived", *(written(*table).encode() for table in tables))
    assert 0.65 < found.metric("test/acc") < 0.95  # the chances that the table was drawn by: .8
    predictions = found.predictions()
    assert len(predictions) == 60
    assert set(predictions["prediction"]) == {0, 1}
    assert list(predictions["Name"]) == [row[3] for row in passengers(60, seed=2)[1]]
    assert sum("an identifier" in line for line in found.lines) >= 3  # PassengerId, Name, Ticket
    assert says_nothing_twice(found.lines)


def test_who_leaves_in_a_table_with_decimal_commas(three_commands):
    names, rows = customers()
    train = written(names, [*rows, ["Summe", "", "", "", "", "99.999,00", ""]], ";").encode("cp1252")
    test = written(*customers(200, seed=1), ";").encode("utf-8-sig")
    new = written(*without("Abwanderung", *customers(60, seed=2)), "\t").encode("utf-16")
    found = three_commands("Abwanderung", train, test, new)
    assert found.metric("test/auroc") > 0.8
    predictions = found.predictions()
    assert set(predictions["prediction"]) == {"Ja", "Nein"}
    shares = predictions[["probability of Nein", "probability of Ja"]]
    assert np.allclose(shares.sum(axis=1), 1)
    assert any("totals" in line for line in found.lines)
    assert says_nothing_twice(found.lines)


def test_what_a_house_costs_beside_outliers(three_commands):
    tables = [houses(mistyped=(7, 70)), houses(200, seed=1), without("price", *houses(60, seed=2))]
    found = three_commands("price", *(written(*table).encode() for table in tables), "data.scaling=robust")
    assert found.metric("test/r2") > 0.85
    prices = np.array([float(str(row[1]).strip("$").replace(",", "")) for row in houses(60, seed=2)[1]])
    error = np.abs(found.predictions()["prediction"] - prices)
    assert np.median(error) < 30_000  # dollars, of 44,000 to 600,000
    assert any("-999" in line for line in found.lines)
    assert says_nothing_twice(found.lines)


def test_which_payments_are_a_fraud(three_commands):
    tables = [payments(8000), payments(8000, seed=1), without("Class", *payments(4000, seed=2))]
    words = ["data.class_weight=balanced", "objective=val/auroc", "trainer.max_epochs=3"]
    found = three_commands("Class", *(written(*table).encode() for table in tables), *words)
    assert found.metric("test/auroc") > 0.9
    assert found.metric("test/balanced_acc") > 0.75  # of the majority class alone: .5
    likely = found.predictions()["probability of 1"].to_numpy()
    fraud = np.array([row[-1] for row in payments(4000, seed=2)[1]]) == 1
    assert likely[fraud].mean() > 10 * likely[~fraud].mean()
    assert says_nothing_twice(found.lines)


def test_what_is_sold_on_a_day(three_commands):
    tables = [sales(), sales(100, seed=1), without("Umsatz", *sales(60, seed=1))]
    found = three_commands("Umsatz", *(written(*table, ";").encode() for table in tables))
    assert found.metric("test/r2") > 0.8
    assert any(line.split()[:2] == ["Datum", "date"] for line in found.lines)
    sold = found.predictions()["prediction"]
    weekend = pd.to_datetime(found.predictions()["Datum"], format="%d.%m.%Y").dt.day_of_week >= 5
    assert sold[weekend].mean() - sold[~weekend].mean() == pytest.approx(400, abs=120)
    assert says_nothing_twice(found.lines)
