"""Tests a trained run on its test data, or on other data of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradvitals.app.commands.trained_run import TrainedRun
from gradvitals.app.run.lazy_imports import import_lightning
from gradvitals.errors import ConfigError
from gradvitals.results.result import borrowed_test

if TYPE_CHECKING:
    from lightning import LightningModule

    from gradvitals.data.csv import Csv


@dataclass(frozen=True)
class Evaluation:
    """What a test found.

    Attributes:
        metrics: tag -> value.
        remarks: lines on what was tested; empty where it is the test data of the run.

    Example:
        >>> print(Evaluation({"test/loss": 0.25, "test/acc": 1.0}, ("rows         120, all of new.csv",)))
        rows         120, all of new.csv
        test/loss 0.25  test/acc 1
    """

    metrics: dict[str, float]
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([*self.remarks, "  ".join(f"{tag} {value:.4g}" for tag, value in self.metrics.items())])


def evaluate(run_dir: Path, overrides: Sequence[str] = (), checkpoint: str = "best") -> Evaluation:
    """Returns the test metrics.

    A table is prepared as the training table was, and every row of it is tested if it is another one.

    Args:
        overrides: ``data.KEY=VALUE`` that differ from the run's config.
        checkpoint: ``best`` or ``last``.

    Raises:
        ConfigError: no run, no such checkpoint, an override that is not one of the data, or another table for a
            checkpoint without a preparation.
        ValueError: a table without a column of the training table.
    """
    run = TrainedRun.find(run_dir, checkpoint)
    spec = run.data_spec(overrides)

    import_lightning()
    from lightning import Trainer

    from gradvitals.app.run.build_data import as_table, build_data
    from gradvitals.app.run.environment import filter_warnings

    filter_warnings()
    data, model = build_data(spec), run.model()
    table = as_table(data)
    remarks = _prepared(table, model, run, spec) if table is not None else ()
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, devices=1)
    metrics = trainer.test(model, datamodule=data, verbose=False)
    if table is None and (remark := borrowed_test(getattr(getattr(data, "splits", None), "tested_on", None))):
        remarks = (f"tested on    {remark}",)
    return Evaluation({tag: float(value) for tag, value in metrics[0].items()}, remarks)


def _prepared(table: Csv, model: LightningModule, run: TrainedRun, spec: dict) -> tuple[str, ...]:
    """Sets a table up with the preparation of the checkpoint, and returns what the user has to know of it."""
    from gradvitals.app.run.given_preparation import fitted, use

    preparation = fitted(model.hparams.get("preparation"), f"checkpoint={run.checkpoint}")
    if preparation is None:
        own = run.data_spec()
        if any(spec[key] != own[key] for key in ("path", "root")):
            raise ConfigError(
                f"data.path={table.path}: expected {own['path']}, on which the run was trained: {run.checkpoint} does "
                "not contain how its columns were prepared, so that another table cannot be prepared alike. Train again"
            )
        return ("prepared     by the table's own statistics: the checkpoint contains none",)
    which = "all" if use(table, preparation) else "the test split"
    rows = len(table.loaded.test)
    return (
        f"{table.sample:<12} {rows:,}, {which} of {table.path}",
        *(f"differs      {line}" for line in table.differences),
    )
