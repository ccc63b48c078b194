"""The composed network on one training batch, before any training: ``preflight.json`` and a table."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from gradvitals.app.errors import Refused
from gradvitals.app.files import write_json
from gradvitals.app.job import Job, prepare
from gradvitals.app.names import short

if TYPE_CHECKING:
    from gradvitals.checkup import LayerReading, Preflight

log = logging.getLogger(__name__)

TITLES = ("", "layer", "mean", "std", "dead", "satur.", "dL/dh", "gain", "predicted", "dL/dW/|x|", "step/W")
NAME = 23  # characters of a layer's name, which leaves 120 for a line
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
    from gradvitals import checkup
    from gradvitals.app.assemble import build_data, build_model, set_threads
    from gradvitals.app.checkpoints import load_weights, locate
    from gradvitals.classifier import Classifier

    data = build_data(settings["data"])
    model = build_model(settings, data)
    if not isinstance(model, Classifier):
        raise Refused("preflight: looks at a network; a LightningModule of your own hides its loss. See the README")
    if settings["weights"]:
        load_weights(model, locate(settings["weights"], settings["paths"]["logs"]))
    set_threads(settings["threads"], model, settings["data"].get("batch_size", 1))
    return checkup.preflight(model.net, next(iter(data.train_dataloader())), model.loss, model._optimizer)


def content(found: Preflight) -> dict[str, Any]:
    """What ``preflight.json`` holds."""
    return {
        "verdict": None if found.verdict[0] == "unknown" else found.verdict[0],
        "gain_per_layer": found.profile.gain,
        "input_grad_norm": found.input_grad_norm,
        "loss_start": found.loss_start,
        "loss_expected": found.loss_expected,
        "trainable_depth": found.trainable_depth,
        "layers": [asdict(layer) for layer in found.layers],
    }


def table(found: Preflight, run_dir: Path) -> str:
    """One line per layer, input side first, and what they come to; at most 120 characters wide."""
    rows = [_row(layer) for layer in found.layers]
    widths = [max(map(len, column)) for column in zip(TITLES, *rows, strict=True)]
    lines = [_line(cells, widths) for cells in (TITLES, *rows)]
    at_input = f"; gradient at the input {_number(found.input_grad_norm, 4)}" if found.input_grad_norm else ""
    lines.append(f"loss {found.loss_start:.4g}{_expected(found.loss_expected)}{at_input}")
    if layer := found.surprise:
        lines.append(
            f"layer {layer.index} is {layer.surprise:.0f} scatters off: gain {_number(layer.gain_measured)}, "
            f"predicted {_number(layer.gain_predicted)}"
        )
    lines.append(f"{': '.join(found.verdict)}{_depth(found)}")
    return "\n".join([*lines, f"written to {short(run_dir / 'preflight.json')}"])


def _row(layer: LayerReading) -> tuple[str, ...]:
    name = layer.name if len(layer.name) <= NAME else "…" + layer.name[1 - NAME :]
    numbers = (layer.activation_grad_norm, layer.gain_measured)
    more = (layer.grad_norm_corrected, layer.update_ratio)
    return (
        str(layer.index),
        name,
        _number(layer.activation_mean, 2),
        _number(layer.activation_std, 2),
        _share(layer.dead_fraction),
        _share(layer.saturated_fraction),
        *map(_number, numbers),
        _prediction(layer),
        *map(_number, more),
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [f"{c:<{w}}" if i == 1 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(aligned).rstrip()


def _prediction(layer: LayerReading) -> str:
    """Such as ``0.234 ±8 %``."""
    if layer.gain_predicted is None or layer.gain_scatter is None:
        return "-"
    scatter = f"±{100 * math.expm1(layer.gain_scatter):.0f} %"
    return f"{_number(layer.gain_predicted)} {scatter:>5}"


def _expected(loss: float | None) -> str:
    if loss is None:
        return ""
    classes = round(math.exp(min(loss, 20)))
    log = f" (log {classes})" if classes > 1 and math.isclose(loss, math.log(classes), rel_tol=1e-6) else ""
    return f", expected {loss:.4g}{log}"


def _depth(found: Preflight) -> str:
    if found.trainable_depth is None:
        return ""
    return f"; trainable to about {found.trainable_depth:.0f} layers, this net has {len(found.layers) - 1}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _number(value: float | None, digits: int = 3) -> str:
    if value is None:
        return "-"
    if 0 < abs(value) < 1e-3 or abs(value) >= 1e4:
        return f"{value:.{digits - 1}e}"
    return f"{value:#.{digits}g}".rstrip(".") if value else "0"
