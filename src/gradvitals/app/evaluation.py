"""A trained run on its test data, or on other data of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gradvitals.app.check import check_values
from gradvitals.app.errors import Refused


def evaluate(run_dir: Path, overrides: Sequence[str] = (), checkpoint: str = "best") -> dict[str, float]:
    """Test metrics by tag.

    Args:
        run_dir: a run directory.
        overrides: ``data.KEY=VALUE`` that differ from the run's config.
        checkpoint: ``best`` or ``last``.

    Raises:
        Refused: no run, no such checkpoint, or an override that is not one of the data.
    """
    file = run_dir / ".hydra" / "config.yaml"
    path = run_dir / "checkpoints" / f"{checkpoint}.ckpt"
    for needed in (file, path):
        if not needed.is_file():
            raise Refused(f"expected a run directory with {needed.relative_to(run_dir)}; {run_dir} has none")
    if foreign := [word for word in overrides if not word.startswith("data.") or "=" not in word]:
        raise Refused(f"expected data.KEY=VALUE; got {foreign[0]}")
    merged = OmegaConf.merge(OmegaConf.load(file), OmegaConf.from_dotlist([*overrides]))
    data_spec: Any = OmegaConf.to_container(merged.data, resolve=True)
    check_values({"data": data_spec})

    from lightning import LightningDataModule, LightningModule, Trainer
    from torch import nn

    from gradvitals.app.checkpoints import read
    from gradvitals.app.quiet import quiet
    from gradvitals.build import build, resolve
    from gradvitals.classifier import Classifier

    quiet()
    data = build(data_spec, LightningDataModule)
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, devices=1)
    spec: Any = OmegaConf.to_container(merged.model)
    target = resolve(spec["_target_"], nn.Module)
    if isinstance(target, type) and issubclass(target, LightningModule):  # one's own
        model = build({"_target_": spec["_target_"]}, LightningModule)
        model.load_state_dict(read(path, "run_dir")["state_dict"])
    else:
        model = Classifier.load_from_checkpoint(path)
    metrics = trainer.test(model, datamodule=data, verbose=False)
    return {tag: float(value) for tag, value in metrics[0].items()}
