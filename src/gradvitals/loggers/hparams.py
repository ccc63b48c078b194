"""Logs the hyperparameters of a run, in TensorBoard with a metric that has real values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from gradvitals.results.record import flat

GROUPS = ("model", "act", "init", "clip", "optimizer", "scheduler", "data", "trainer")


def hyperparameters(config: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, bool | int | float | str]:
    """Returns what runs are compared by: the chosen option of each group, its settings, and the tags."""
    chosen = {group: choices.get(group) for group in GROUPS} | {"tags": ",".join(config["tags"])}
    settings = _plain({group: config[group] for group in GROUPS} | {"seed": config["seed"], "loss": config["loss"]})
    return _plain(chosen) | {key: value for key, value in settings.items() if not key.endswith((".name", "._target_"))}


@rank_zero_only
def log_hparams(loggers: Iterable[Logger], params: dict[str, bool | int | float | str], metrics: Iterable[str]) -> None:
    """Writes the hyperparameters; TensorBoard reads them once, so they come before everything else.

    The summaries are written alone: ``log_hyperparams`` would also write a point without a value into the curve of the
    metric.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            from torch.utils.tensorboard.summary import hparams

            for summary in hparams(params, dict.fromkeys(metrics, 0.0)):
                logger.experiment._get_file_writer().add_summary(summary)
        else:
            logger.log_hyperparams(params)


def _plain(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """By dotted keys; null and lists become strings, and a group without keys is left out."""
    return {
        key: value if isinstance(value, (bool, int, float, str)) else "null" if value is None else str(value)
        for key, value in flat(config).items()
        if not isinstance(value, Mapping)
    }
