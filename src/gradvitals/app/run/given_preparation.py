"""Gives a table's data module the preparation of the checkpoint that a run starts from.

The columns, levels, scales and classes of a network are those of the table that it was trained on. Statistics of
another table, or of the same one after it changed, would give the network other inputs than it knows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning import LightningDataModule, LightningModule

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.build_data import as_table
from gradvitals.checkpoints.read import read_preparation
from gradvitals.classifier import Classifier
from gradvitals.errors import ConfigError

if TYPE_CHECKING:
    from gradvitals.data.csv import Csv
    from gradvitals.tabular.preparation import Preparation

ACCEPT = "accept"


def give_preparation(config: RunConfig, data: LightningDataModule) -> None:
    """Lets a table's data module use the preparation of ``ckpt_path`` or ``weights``; call it before ``setup``.

    A run that only tests (``train=false``) tests every row of another table than that of the checkpoint.

    Raises:
        ConfigError: a fit is to continue on a table that has changed, and ``data.changed=accept`` is not set.
        FileNotFoundError, ValueError: see :func:`gradvitals.checkpoints.read.read_preparation`.
    """
    table, key = as_table(data), "ckpt_path" if config["ckpt_path"] else "weights"
    if table is None or not config[key]:
        return
    path = Path(config[key])
    preparation = fitted(read_preparation(path, key), f"{key}={path}")
    if preparation is None:
        return
    if not config["train"]:
        use(table, preparation)
        return
    if key == "ckpt_path":
        _refuse_a_changed_table(table, preparation, path)
    table.use(replace(preparation, fingerprint=table.fingerprint))


def fitted(values: Any, source: str) -> Preparation | None:
    """Returns the preparation that a checkpoint contains; None: it contains none.

    Args:
        source: the setting and the file, for the error.
    """
    if values is None:
        return None
    from gradvitals.tabular.preparation import Preparation

    try:
        return Preparation.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{source}: expected a checkpoint with the preparation of a table; {error}") from error


def use(table: Csv, preparation: Preparation) -> bool:
    """Lets a table be tested: its test split if the checkpoint was trained on it, or else every row.

    Returns:
        Whether every row is tested.
    """
    is_other = table.fingerprint != preparation.fingerprint
    table.use(preparation, test_all=is_other)
    return is_other


def predicts_rows(model: LightningModule) -> bool:
    """Returns whether a model contains the preparation of its training table, each row of which was a sample."""
    if not isinstance(model, Classifier) or model.hparams["preparation"] is None:
        return False
    return len(model.hparams["in_shape"] or [model.hparams["in_features"]]) == 1


def _refuse_a_changed_table(table: Csv, preparation: Preparation, checkpoint: Path) -> None:
    if table.fingerprint == preparation.fingerprint or table.changed == ACCEPT:
        return
    raise ConfigError(
        f"data.path={table.path} has changed: {checkpoint} was trained on another table, of which {preparation.rows:,} "
        f"rows were used; this one has {len(table.text_table().cells):,}. Restore it, or add data.changed={ACCEPT} to "
        "continue on it with the columns, levels and scales of the first"
    )
