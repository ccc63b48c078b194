"""The composed network on one training batch, before any training: ``preflight.json`` and a table."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from gradvitals.app.errors import Refused
from gradvitals.app.files import write_json
from gradvitals.app.job import Job, prepare
from gradvitals.app.names import short

if TYPE_CHECKING:
    from gradvitals.checkup import Preflight

log = logging.getLogger(__name__)

IDLE = ("resume", "ckpt_path", "train", "test")


def preflight(config: DictConfig) -> None:
    """Hydra's task function: one network.

    Raises:
        SystemExit: 1 refused, 130 Ctrl-C.
    """
    job = Job.at_hand()
    with job.refusals():
        settings = job.settings(config)
        if idle := [key for key in settings["typed"] if key in IDLE]:
            raise Refused(f"{idle[0]}: has no part in a preflight, which does not train; leave it out")
        prepare(settings)
        found = look(settings)
        write_json(job.run_dir / "preflight.json", content(found))
        log.info(table(found, job.run_dir))


def look(settings: dict[str, Any]) -> Preflight:
    """Build what the settings describe and send one training batch through it."""
    from lightning import LightningDataModule

    from gradvitals import checkup
    from gradvitals.app.assemble import build_model, set_threads
    from gradvitals.app.checkpoints import load_weights, locate
    from gradvitals.build import build
    from gradvitals.classifier import Classifier

    data = build(settings["data"], LightningDataModule)
    model = build_model(settings, data)
    if not isinstance(model, Classifier):
        raise Refused("preflight: looks at a network; a LightningModule of your own hides its loss. See the README")
    if settings["weights"]:
        load_weights(model, locate(settings["weights"], settings["paths"]["logs"]))
    set_threads(settings["threads"], model, settings["data"].get("batch_size", 1))
    return checkup.preflight(model.net, next(iter(data.train_dataloader())), model.loss)


def content(found: Preflight) -> dict[str, Any]:
    """What ``preflight.json`` holds."""
    return {
        "verdict": None if found.profile.label == "unknown" else found.profile.label,
        "gain_per_layer": found.profile.gain,
        "input_grad_norm": found.input_grad_norm,
        "loss_start": found.loss_start,
        "layers": [asdict(layer) for layer in found.layers],
    }


def table(found: Preflight, run_dir: Path) -> str:
    """One line per layer, input side first, and what they come to."""
    width = max([len(layer.name) for layer in found.layers] + [5])
    rows = [f"{'':3} {'layer':<{width}}  {'dL/dh':>9}  {'gain':>6}  {'dL/dW':>9}"]
    for layer in found.layers:
        numbers = f"{_number(layer.activation_grad_norm):>9}  {_number(layer.gain_measured, 3):>6}"
        rows.append(f"{layer.index:>3} {layer.name:<{width}}  {numbers}  {_number(layer.grad_norm):>9}")
    at_input = f", gradient at the input {_number(found.input_grad_norm, 4)}" if found.input_grad_norm else ""
    rows.append(f"loss {found.loss_start:.4g}{at_input}")
    rows.append(f"{found.profile.label}: {found.profile.evidence}")
    return "\n".join([*rows, f"written to {short(run_dir / 'preflight.json')}"])


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}g}"
