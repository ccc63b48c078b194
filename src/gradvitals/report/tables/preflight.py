"""The table that the preflight prints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from gradvitals.formatting import in_shell
from gradvitals.report.tables.columns import aligned

if TYPE_CHECKING:
    from gradvitals.signal_propagation.reading import LayerReading, Preflight

TITLES = ("", "layer", "mean", "std", "dead", "satur.", "dL/dh", "gain", "predicted", "dL/dW/|x|", "step/W")
NAME = 23  # characters of a layer's name, which leaves 120 for a line


def table(found: Preflight, run_dir: Path) -> str:
    """Returns one line per layer, input side first, then loss and verdict; at most 120 characters wide."""
    lines = aligned([TITLES, *map(_row, found.layers)], left={1})
    at_input = f"; gradient at the input {_number(found.input_grad_norm, 4)}" if found.input_grad_norm else ""
    lines.append(f"loss {found.loss_start:.4g}{_expected(found.loss_expected)}{at_input}")
    if layer := found.surprise:
        lines.append(
            f"layer {layer.index} is {layer.surprise:.0f} scatters off: gain {_number(layer.gain_measured)}, "
            f"predicted {_number(layer.gain_predicted)}"
        )
    lines.append(f"{': '.join(found.verdict)}{_depth(found)}")
    return "\n".join([*lines, f"written to {in_shell(run_dir / 'preflight.json')}"])


def _row(layer: LayerReading) -> tuple[str, ...]:
    name = layer.name if len(layer.name) <= NAME else "…" + layer.name[1 - NAME :]
    return (
        str(layer.index),
        name,
        _number(layer.activation_mean, 2),
        _number(layer.activation_std, 2),
        _share(layer.dead_fraction),
        _share(layer.saturated_fraction),
        _number(layer.activation_grad_norm),
        _number(layer.gain_measured),
        _prediction(layer),
        _number(layer.grad_norm_corrected),
        _number(layer.update_ratio),
    )


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
    """A number with its trailing zeros, because the numbers of a column are compared digit by digit."""
    if value is None:
        return "-"
    if 0 < abs(value) < 1e-3 or abs(value) >= 1e4:
        return f"{value:.{digits - 1}e}"
    return f"{value:#.{digits}g}".rstrip(".") if value else "0"
