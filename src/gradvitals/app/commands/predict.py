"""Writes the predictions of a trained run for the rows of a table."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradvitals.app.commands.trained_run import TrainedRun
from gradvitals.app.run.lazy_imports import import_lightning
from gradvitals.errors import ConfigError
from gradvitals.formatting import in_shell, number, shortened, spreadsheet_text, visible
from gradvitals.results.files import write_bytes

if TYPE_CHECKING:
    import pandas as pd

PREDICTION = "prediction"
MOST_CLASSES = 10  # whose counts are printed
# Signs, digits and what is written around them: a spreadsheet computes nothing with it, and a mark would change it.
NUMERIC = re.compile(r"[+-][\d\s.,'%$€£¥]*")


@dataclass(frozen=True)
class Predictions:
    """What was predicted.

    Attributes:
        file: that was written.
        rows: of the table.
        summary: how often each class was predicted, or the range of the quantity.
        differences: what distinguishes the table from the training table.

    Example:
        >>> print(Predictions(Path("predictions_new.csv"), 3, "2 apple, 1 plum", ("grams: shifted",)))
        rows         3
        predicted    2 apple, 1 plum
        differs      grams: shifted
        predictions  predictions_new.csv
    """

    file: Path
    rows: int
    summary: str
    differences: tuple[str, ...] = ()

    def __str__(self) -> str:
        differs = [f"differs      {line}" for line in self.differences]
        ends = [f"predicted    {self.summary}", *differs, f"predictions  {in_shell(self.file)}"]
        return "\n".join([f"rows         {self.rows:,}", *ends])


def predict(
    run_dir: Path, overrides: Sequence[str] = (), checkpoint: str = "best", output: Path | None = None
) -> Predictions:
    """Writes every row of a table, as the table has it, with its prediction.

    Args:
        overrides: ``data.path=FILE`` and other ``data.KEY=VALUE`` that say how the table is read.
        checkpoint: ``best`` or ``last``.
        output: the file; None: ``RUN_DIR/predictions_NAME.csv``. Only earlier predictions are replaced.

    Raises:
        ConfigError: no run, no such checkpoint, one that was not trained on a table, one on sequences, or a file with
            something else.
        ValueError: a table without a column of the training table.
    """
    run = TrainedRun.find(run_dir, checkpoint)
    spec = run.data_spec(overrides)

    import_lightning()
    from gradvitals.app.run.build_data import as_table, build_data
    from gradvitals.app.run.environment import filter_warnings
    from gradvitals.classifier import Classifier

    filter_warnings()
    table = as_table(build_data(spec))
    if table is None:
        raise ConfigError(f"{run_dir}: expected a run on a table (data=csv); its data are {spec.get('_target_')}")
    if table.sample != "rows":
        raise ConfigError(
            f"{run_dir}: expected a run whose samples are rows (data=csv); those of this one are {table.sample}. "
            "src/eval.py tests such a run on another table; in Python, data.use(model.preparation, test_all=True) "
            "prepares it, and model(data.loaded.test.inputs) predicts"
        )
    model = run.model()
    if not isinstance(model, Classifier):
        raise ConfigError(
            f"{run_dir}: expected a run whose model is a Classifier; a LightningModule of your own "
            f"({type(model).__name__}) predicts in its own way"
        )
    preparation = model.preparation
    if preparation is None:
        raise ConfigError(f"{run.checkpoint} does not contain how its table was prepared: train again, then predict")
    path = Path(table.path)
    file = output or run_dir / f"predictions_{path.stem}.csv"
    _refuse_to_replace(file, path)
    preparation, cells = table.read_for(preparation)
    try:
        found = model.predict_table(cells, warn=False, preparation=preparation)
    except ValueError as error:
        raise ValueError(f"data.path={path}: {error}") from None
    write_bytes(file, _written(cells, found))
    return Predictions(file, len(cells), _summary(found), tuple(preparation.differences(cells)))


def _refuse_to_replace(file: Path, table: Path) -> None:
    """Refuses a file that exists, unless it contains earlier predictions and is not the table itself."""
    if not file.parent.is_dir():
        raise ConfigError(f"--output: expected a file in a folder that exists; got {file}")
    if not file.exists():
        return
    if file.is_dir() or file.samefile(table) or not _has_predictions(file):
        raise ConfigError(f"--output: expected a new file, or earlier predictions; {file} is something else")


def _has_predictions(file: Path) -> bool:
    with file.open(encoding="utf-8", errors="replace", newline="") as opened:
        return PREDICTION in next(csv.reader(opened), [])


def _written(cells: pd.DataFrame, found: pd.DataFrame) -> bytes:
    """Returns a table of comma-separated values in UTF-8."""
    import pandas as pd

    added = {name: _unused(name, cells.columns) for name in found.columns}
    table = pd.concat([cells, found.rename(columns=added)], axis=1)
    table = table.map(_cell).rename(columns=_cell)
    return table.to_csv(index=False, lineterminator="\n").encode()


def _unused(name: str, names: Iterable[Any]) -> str:
    taken = set(map(str, names))
    return next(f"{name}{tail}" for tail in ("", *(f" {i}" for i in range(2, 1000))) if f"{name}{tail}" not in taken)


def _cell(value: Any) -> Any:
    r"""Returns a cell as it was, but with an apostrophe before what a spreadsheet would compute.

    Example:
        >>> [_cell(value) for value in ("-1,5", "+", "=1+1", "-a")]
        ['-1,5', '+', "'=1+1", "'-a"]
    """
    return value if isinstance(value, str) and NUMERIC.fullmatch(value) else spreadsheet_text(value)


def _summary(found: pd.DataFrame) -> str:
    predicted = found[PREDICTION]
    if found.shape[1] > 1:
        counted = Counter(predicted.astype(str)).most_common()
        return shortened([f"{count:,} {visible(name)}" for name, count in counted], MOST_CLASSES)
    return f"from {number(float(predicted.min()))} to {number(float(predicted.max()))}"
