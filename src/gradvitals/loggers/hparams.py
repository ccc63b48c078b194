"""Logs the hyperparameters of a run, in TensorBoard with a metric that has real values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gradvitals.loggers.recognize import is_lightnings
from gradvitals.results.record import flat

Parameter = bool | int | float | str | None
GROUPS = ("model", "act", "init", "clip", "optimizer", "scheduler", "data", "trainer")


def hyperparameters(
    config: Mapping[str, Any], choices: Mapping[str, str], types: Mapping[str, type]
) -> dict[str, Parameter]:
    """Returns what runs are compared by: the chosen option of each group, its settings, and the tags.

    Args:
        choices: group -> chosen option.
        types: dotted key -> type that all its values have in all runs, apart from null. TensorBoard can neither sort
            nor filter a column in which a run has a string and another one a number.

    Returns:
        name -> value; None where a number is null, so that the column has numbers alone. A null string is ``null``, and
        a null of an unknown type is left out.

    Example:
        >>> config = dict.fromkeys(GROUPS, {}) | {"tags": ["a"], "seed": 1, "loss": "auto", "clip": {"val": None}}
        >>> found = hyperparameters(config, {"clip": "none"}, {"clip.val": float, "seed": float})
        >>> found["clip"], found["clip.val"], found["seed"]
        ('none', None, 1)
    """
    chosen = {group: str(choices.get(group, "null")) for group in GROUPS} | {"tags": ",".join(config["tags"])}
    settings = flat({group: config[group] for group in GROUPS} | {"seed": config["seed"], "loss": config["loss"]})
    return chosen | {
        key: _plain(value, types.get(key))
        for key, value in settings.items()
        if not key.endswith((".name", "._target_"))
        and not isinstance(value, Mapping)  # a group without keys
        and not (value is None and key not in types)
    }


def log_hparams(loggers: Iterable[Any], params: dict[str, Parameter], metrics: Iterable[str]) -> None:
    """Writes the hyperparameters; TensorBoard reads them once, so they come before everything else.

    The summaries are written alone: ``log_hyperparams`` would also write a point without a value into the curve of the
    metric. TensorBoard takes the columns from any one run: a number that is null in this run has its column too.
    """
    for logger in loggers:
        if is_lightnings(logger, "TensorBoardLogger"):
            from torch.utils.tensorboard.summary import hparams

            columns = {name: 0.0 if value is None else value for name, value in params.items()}
            experiment, _, _ = hparams(columns, dict.fromkeys(metrics, 0.0))
            for summary in (experiment, *hparams(params, {})[1:]):
                logger.experiment._get_file_writer().add_summary(summary)
        else:
            logger.log_hyperparams(params)


def _plain(value: Any, kind: type | None) -> Parameter:
    """A number, a boolean or a string, as all values of this type are; of an unknown type as the value itself is."""
    if value is None:
        return None if kind is not str else "null"
    if isinstance(value, (bool, int, float, str)) and kind is not str:
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)  # as it is typed
