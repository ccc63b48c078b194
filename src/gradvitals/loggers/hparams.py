"""Logs the hyperparameters of a run, in TensorBoard with a metric that has real values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

GROUPS = ("model", "act", "init", "clip", "optimizer", "scheduler", "data", "trainer")


def hyperparameters(config: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, bool | int | float | str]:
    """Returns what runs are compared by: the chosen option of each group, its settings, and the tags."""
    chosen = {group: choices.get(group) for group in GROUPS} | {"tags": ",".join(config["tags"])}
    settings = flat({group: config[group] for group in GROUPS} | {"seed": config["seed"], "loss": config["loss"]})
    return flat(chosen) | {key: value for key, value in settings.items() if not key.endswith((".name", "._target_"))}


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


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """Flattens nested settings to ``group.key``; null and lists become strings.

    Example:
        >>> flat({"model": {"depth": 3, "hidden": None}})
        {'model.depth': 3, 'model.hidden': 'null'}
    """
    found: dict[str, bool | int | float | str] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        else:
            plain = isinstance(value, (bool, int, float, str))
            found[name] = value if plain else "null" if value is None else str(value)
    return found
