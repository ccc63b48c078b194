"""What TensorBoard is told beside the curves: the hyperparameters, with a metric that has real values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

GROUPS = ("model", "act", "init", "clip", "optimizer", "scheduler", "data", "trainer")
FIRST = ("model", "act", "model.depth", "init", "optimizer.lr")
SHOWN = 5  # columns that TensorBoard's table of HPARAMS begins with


def hyperparameters(
    config: Mapping[str, Any], choices: Mapping[str, str], typed: Iterable[str]
) -> dict[str, bool | int | float | str]:
    """Returns what runs are compared by: the option of each group, and its settings.

    Args:
        config: plain values.
        choices: group -> option.
        typed: the keys that were typed, which come first.
    """
    chosen: dict[str, Any] = {group: choices.get(group) for group in GROUPS}
    settings = flat({group: config[group] for group in GROUPS} | {"seed": config["seed"], "loss": config["loss"]})
    chosen["tags"] = ",".join(config["tags"])
    found = flat(chosen) | {key: value for key, value in settings.items() if not key.endswith((".name", "._target_"))}
    net = [key for key in typed if not key.startswith("trainer")]  # how long it trains is rarely what is compared
    return {key: found[key] for key in [*net, *FIRST] if key in found} | found


@rank_zero_only
def log_hparams(loggers: Iterable[Logger], params: dict[str, bool | int | float | str], metrics: Iterable[str]) -> None:
    """Write the hyperparameters; TensorBoard reads them once, so they come first.

    Its table begins with five that differ between runs, or of the alphabet; which will differ is not known yet, so the
    first of ``params`` are said to. The summaries are written alone: ``log_hyperparams`` would also plant a point
    without a value in the metric's curve.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            from torch.utils.tensorboard.summary import hparams

            experiment, *others = hparams(params, dict.fromkeys(metrics, 0.0))
            for summary in (_with_differing(experiment), *others):
                logger.experiment._get_file_writer().add_summary(summary)
        else:
            logger.log_hyperparams(params)


def _with_differing(summary: Any) -> Any:
    """The experiment's summary, its first hyperparameters marked as differing."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    metadata = summary.value[0].metadata.plugin_data
    data = HParamsPluginData.FromString(metadata.content)
    for info in data.experiment.hparam_infos[:SHOWN]:
        info.differs = True
    metadata.content = data.SerializeToString()
    return summary


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """Nested settings as ``group.key`` to a plain value; null and lists as text.

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
