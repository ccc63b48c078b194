"""Builds the LightningDataModule of a config."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning import LightningDataModule

from gradvitals.app.run.lazy_imports import BESIDE_DATA, defer_imports
from gradvitals.build import Spec, build
from gradvitals.distributed.cluster_environment import ClusterEnvironment
from gradvitals.errors import ConfigError
from gradvitals.results.files import user_lock


def build_data(spec: Spec) -> LightningDataModule:
    """The data module; one of ours need not wait for what its packages import besides."""
    ours = str(spec.get("_target_")).startswith("gradvitals.")
    with defer_imports(BESIDE_DATA if ours else ()):
        return build(spec, LightningDataModule)


def describe(data: LightningDataModule) -> dict[str, Any]:
    """What a network must know of the data: ``in_features``, ``num_classes`` and ``task``.

    Ours say so themselves (``splits``); of a module of one's own, attributes of these names are taken, and what is
    missing is read off the first training batch.
    """
    with _in_turn():
        data.prepare_data()
    data.setup("fit")
    splits = getattr(data, "splits", None)
    if splits is not None:
        return {
            "in_features": splits.train.x[0].numel(),
            "num_classes": splits.num_classes,
            "task": splits.task,
        }
    x, y = next(iter(data.train_dataloader()))
    task = getattr(data, "task", "regression" if y.is_floating_point() else "multiclass")
    num_classes = getattr(data, "num_classes", {"regression": 1, "binary": 2}.get(task))
    if num_classes is None:
        raise ConfigError(
            f"{type(data).__name__}: expected an attribute num_classes beside integer targets; there is none"
        )
    return {"in_features": getattr(data, "in_features", x[0].numel()), "num_classes": num_classes, "task": task}


@contextmanager
def _in_turn() -> Iterator[None]:
    """One process of this machine after the other, where a launcher started several: one downloads what all need."""
    if ClusterEnvironment.at_work() is None:
        yield
        return
    with user_lock("data"):
        yield
