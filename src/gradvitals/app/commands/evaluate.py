"""Tests a trained run on its test data, or on other data of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gradvitals.app.config.overrides import Overrides
from gradvitals.app.config.validate import check_values
from gradvitals.app.run.lazy_imports import import_lightning
from gradvitals.errors import ConfigError


def evaluate(run_dir: Path, overrides: Sequence[str] = (), checkpoint: str = "best") -> dict[str, float]:
    """Returns the test metrics by tag.

    Args:
        overrides: ``data.KEY=VALUE`` that differ from the run's config.
        checkpoint: ``best`` or ``last``.

    Raises:
        ConfigError: no run, no such checkpoint, or an override that is not one of the data.
    """
    file = run_dir / ".hydra" / "config.yaml"
    path = run_dir / "checkpoints" / f"{checkpoint}.ckpt"
    for needed in (file, path):
        if not needed.is_file():
            raise ConfigError(f"expected a run directory with {needed.relative_to(run_dir)}; {run_dir} has none")
    if others := [override for override in overrides if not override.startswith("data.") or "=" not in override]:
        raise ConfigError(f"expected data.KEY=VALUE; got {others[0]}")
    merged = OmegaConf.merge(OmegaConf.load(file), OmegaConf.from_dotlist([*overrides]))
    data_spec: Any = OmegaConf.to_container(merged.data, resolve=True)
    check_values({"data": data_spec})

    import_lightning()
    from lightning import Trainer

    from gradvitals.app.run.build_data import build_data
    from gradvitals.app.run.build_model import build_own_module
    from gradvitals.app.run.environment import filter_warnings
    from gradvitals.checkpoints.compare import load_weights, rebuild

    filter_warnings()
    data = build_data(data_spec)
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, devices=1)
    typed = Overrides(map(str, OmegaConf.load(run_dir / ".hydra" / "overrides.yaml"))).typed_keys
    model = build_own_module(OmegaConf.to_container(merged.model), typed)  # type: ignore[arg-type]
    if model is None:
        model = rebuild(path, "checkpoint")
    else:
        load_weights(model, path, "checkpoint")
    metrics = trainer.test(model, datamodule=data, verbose=False)
    return {tag: float(value) for tag, value in metrics[0].items()}
