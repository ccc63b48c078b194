"""Many numbers to all loggers at once."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import google_crc32c
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from gradvitals.vitals import Histogram


@rank_zero_only
def publish(loggers: Iterable[Logger], values: Mapping[str, float], step: int) -> None:
    """Writes tagged numbers of one step.

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
    """Logs a PNG: to TensorBoard without decoding it, to W&B as an image, to MLflow as the artifact ``TAG.png``."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            from tensorboard.compat.proto.summary_pb2 import Summary

            width, height = struct.unpack(">II", png[16:24])  # where the format has them
            image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
            summary = Summary(value=[Summary.Value(tag=tag, image=image)])
            logger.experiment._get_file_writer().add_summary(summary, step)
        elif isinstance(logger, WandbLogger):
            logger.log_image(tag, [_decoded(png)], step)
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_image(logger.run_id, _decoded(png), f"{tag}.png")


def _decoded(png: bytes) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(png))


@rank_zero_only
def publish_layout(loggers: Iterable[Logger], layout: Mapping[str, Mapping[str, list[Any]]]) -> None:
    """Defines TensorBoard's page of custom scalars."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            from torch.utils.tensorboard.summary import custom_scalars

            logger.experiment._get_file_writer().add_summary(custom_scalars(layout))


@rank_zero_only
def publish_text(loggers: Iterable[Logger], tag: str, text: str, step: int) -> None:
    """Logs a text: to TensorBoard, to W&B as a table, to MLflow as the artifact ``TAG.txt``; the last one stays."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            from torch.utils.tensorboard.summary import text as summary_of

            summary = summary_of(tag, text)
            summary.value[0].tag = tag  # torch's own ends with /text_summary
            logger.experiment._get_file_writer().add_summary(summary, step)
        elif isinstance(logger, WandbLogger):
            logger.log_text(tag, columns=["step", "text"], data=[[str(step), text]], step=step)
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_text(logger.run_id, f"step {step}: {text}\n", f"{tag}.txt")


@rank_zero_only
def publish_histograms(loggers: Iterable[Logger], histograms: Mapping[str, Histogram], step: int) -> None:
    """Logs histograms to TensorBoard and W&B; the other loggers have none."""
    for logger in loggers if histograms else ():
        if isinstance(logger, TensorBoardLogger):
            from tensorboard.compat.proto.summary_pb2 import Summary

            values = [Summary.Value(tag=tag, histo=_proto(found)) for tag, found in histograms.items()]
            logger.experiment._get_file_writer().add_summary(Summary(value=values), step)
        elif isinstance(logger, WandbLogger):
            import wandb

            pairs = {tag: (found.counts, found.edges) for tag, found in histograms.items()}
            shown = {tag: wandb.Histogram(np_histogram=pair) for tag, pair in pairs.items()}
            logger.experiment.log(shown | {"trainer/global_step": step})


def _proto(found: Histogram) -> Any:
    from tensorboard.compat.proto.summary_pb2 import HistogramProto

    middles = [(low + high) / 2 for low, high in pairwise(found.edges)]
    return HistogramProto(
        min=found.edges[0],
        max=found.edges[-1],
        num=sum(found.counts),
        sum=sum(n * x for n, x in zip(found.counts, middles, strict=True)),
        sum_squares=sum(n * x * x for n, x in zip(found.counts, middles, strict=True)),
        bucket_limit=found.edges[1:],
        bucket=found.counts,
    )


def _one_event(logger: TensorBoardLogger, values: Mapping[str, float], step: int) -> None:
    summary = _summary(tuple(values))
    for place, number in zip(summary.value, values.values(), strict=True):
        place.simple_value = number
    writer = logger.experiment._get_file_writer()
    speed_up(writer)
    writer.add_summary(summary, step)


@lru_cache(maxsize=16)
def _summary(tags: tuple[str, ...]) -> Any:
    """A summary to be filled in; to build one of 200 values takes five times as long."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag) for tag in tags])


def speed_up(writer: Any) -> None:
    """Lets a ``torch.utils.tensorboard.FileWriter`` compute its checksums by a library; the bytes are the same.

    TensorBoard computes the checksum of each record in pure Python: 3 ms for an event of 200 values, a quarter of a
    small network's step, in a thread that has the interpreter's lock meanwhile. A writer of an unknown version is not
    changed.
    """
    records = records_of(writer)
    if hasattr(records, "_writer") and "write" not in vars(records):
        records.write = partial(_write, records._writer)


def records_of(writer: Any) -> Any:
    """Returns the record writer of a TensorBoard file writer's thread; None for an unknown version."""
    queue = getattr(getattr(writer, "event_writer", None), "_async_writer", None)
    return getattr(queue, "_writer", None)


def _write(file: Any, data: bytes) -> None:
    length = struct.pack("<Q", len(data))
    file.write(length + _checksum(length) + data + _checksum(data))


def _checksum(data: bytes) -> bytes:
    """Returns the CRC-32C, rotated and shifted as the file format defines."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
