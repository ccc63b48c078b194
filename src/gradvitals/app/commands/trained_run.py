"""A run directory whose network is used again: its config, with other data where the user names some, and its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.overrides import Overrides, parsed
from gradvitals.app.config.typed_paths import PATHS, typed_path
from gradvitals.app.config.validate import check_values
from gradvitals.errors import ConfigError
from gradvitals.results.run_names import require_directory

if TYPE_CHECKING:
    from lightning import LightningModule


@dataclass(frozen=True)
class TrainedRun:
    """A run directory and one of its checkpoints."""

    run_dir: Path
    checkpoint: Path
    config: DictConfig

    @classmethod
    def find(cls, run_dir: Path, checkpoint: str = "best") -> TrainedRun:
        """Finds the config and the checkpoint (``best`` or ``last``) of a run.

        Raises:
            ConfigError, FileNotFoundError: there is no run, or no such checkpoint.
        """
        require_directory(run_dir)
        file, path = run_dir / ".hydra" / "config.yaml", run_dir / "checkpoints" / f"{checkpoint}.ckpt"
        for needed in (file, path):
            if not needed.is_file():
                raise ConfigError(f"expected a run directory with {needed.relative_to(run_dir)}; {run_dir} has none")
        return cls(run_dir, path, OmegaConf.load(file))  # type: ignore[arg-type]

    def data_spec(self, overrides: Sequence[str] = ()) -> dict[str, Any]:
        """Returns the spec of the run's data with ``data.KEY=VALUE`` in place of its own values.

        Raises:
            ConfigError: an override that is not one of the data, or a value that its key does not accept.
        """
        if others := [word for word in overrides if not word.startswith("data.") or "=" not in word]:
            raise ConfigError(f"expected data.KEY=VALUE; got {others[0]}")
        config = OmegaConf.merge(self.config)  # a copy
        for key, _, text in (word.partition("=") for word in overrides):
            OmegaConf.update(config, key, _value(key, text))
        spec: Any = OmegaConf.to_container(config.data, resolve=True)
        check_values({"data": spec})
        return spec

    def model(self) -> LightningModule:
        """Builds the run's model with the weights of the checkpoint."""
        from gradvitals.app.run.build_model import build_own_module
        from gradvitals.checkpoints.compare import load_weights, rebuild

        typed = Overrides(map(str, OmegaConf.load(self.run_dir / ".hydra" / "overrides.yaml"))).typed_keys
        model = build_own_module(OmegaConf.to_container(self.config.model), typed)  # type: ignore[arg-type]
        if model is None:
            return rebuild(self.checkpoint, "checkpoint")
        load_weights(model, self.checkpoint, "checkpoint")
        return model


def _value(key: str, text: str) -> Any:
    """Returns a value as Hydra reads it; a path, and what Hydra cannot read as one value, as it was typed."""
    if key in PATHS:
        return typed_path(text)
    found = parsed(f"{key}={text}")
    return text if found is None or found.is_sweep_override() else found.value()
