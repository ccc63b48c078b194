"""Sending many numbers to the loggers at once."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only


@rank_zero_only
def publish(loggers: Iterable[Logger], values: Mapping[str, float], step: int) -> None:
    """Write tagged numbers of one step.

    TensorBoard gets one event with many values; ``log_metrics`` would write an event for each and cost half a training
    step. Every other logger gets ``log_metrics``.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            _one_event(logger, values, step)
        else:
            logger.log_metrics(dict(values), step)


@rank_zero_only
def publish_picture(loggers: Iterable[Logger], tag: str, png: bytes, step: int) -> None:
    """Show a PNG in TensorBoard as it is, without decoding it."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            from tensorboard.compat.proto.summary_pb2 import Summary

            width, height = struct.unpack(">II", png[16:24])  # where the format has them
            image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
            summary = Summary(value=[Summary.Value(tag=tag, image=image)])
            logger.experiment._get_file_writer().add_summary(summary, step)


def _one_event(logger: TensorBoardLogger, values: Mapping[str, float], step: int) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary

    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
    logger.experiment._get_file_writer().add_summary(summary, step)
