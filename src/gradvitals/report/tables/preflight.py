"""The table that the preflight prints."""

from __future__ import annotations

import math
from pathlib import Path

from gradvitals.diagnosis.time_profile import time_profile
from gradvitals.formatting import in_shell
from gradvitals.report.tables.columns import aligned, name_end, percent, significant
from gradvitals.signal_propagation.reading import LayerReading, Preflight, TimeReading

TITLES = ("", "layer", "mean", "std", "dead", "satur.", "dL/dh", "gain", "predicted", "dL/dW/|x|", "step/W")
NAME = 23  # characters of a layer's name, which leaves 120 for a line


def table(found: Preflight, run_dir: Path | None = None) -> str:
    """Returns one line per layer, input side first, then loss and verdict; at most 120 characters wide.

    Args:
        run_dir: where it was written, which the last line says; None: nowhere.
    """
    lines = aligned([TITLES, *map(cells, found.layers)], left={1})
    lines += remarks(found)
    return "\n".join([*lines, *([f"written to {in_shell(run_dir / 'preflight.json')}"] if run_dir else [])])


def remarks(found: Preflight) -> list[str]:
    """Returns the loss, the layer that theory does not explain, where there is one, and the verdict last."""
    lines = []
    at_input = f"; gradient at the input {significant(found.input_grad_norm, 4)}" if found.input_grad_norm else ""
    lines.append(f"loss {found.loss_start:.4g}{_expected(found.loss_expected)}{at_input}")
    if layer := found.surprise:
        lines.append(
            f"layer {layer.index} is {layer.surprise:.0f} scatters off: gain {significant(layer.gain_measured)}, "
            f"predicted {significant(layer.gain_predicted)}"
        )
    lines += [line for reading in found.through_time for line in _through_time(reading)]
    return [*lines, f"{': '.join(found.verdict)}{_depth(found)}"]


def _through_time(reading: TimeReading) -> list[str]:
    predicted = "not predicted"
    if reading.factor_predicted is not None:
        predicted = f"predicted {significant(reading.factor_predicted)} {_scatter(reading.factor_scatter)}".rstrip()
    memory = reading.memory
    left = f"; a hundredth is left after {memory:.0f} steps" if memory is not None and memory < math.inf else ""
    return [
        f"through time, {name_end(reading.layer, NAME)}: {time_profile(reading.norms).evidence}",
        f"  factor per time step {significant(reading.factor_measured)}, {predicted}{left}",
    ]


def _scatter(scatter: float | None) -> str:
    return "" if scatter is None else f"±{100 * math.expm1(scatter):.0f} %"


def cells(layer: LayerReading, longest: int = NAME) -> tuple[str, ...]:
    """Returns a row of the table; of a long name, the end."""
    return (
        str(layer.index),
        name_end(layer.name, longest),
        significant(layer.activation_mean, 2),
        significant(layer.activation_std, 2),
        percent(layer.dead_fraction),
        percent(layer.saturated_fraction),
        significant(layer.activation_grad_norm),
        significant(layer.gain_measured),
        _prediction(layer),
        significant(layer.grad_norm_corrected),
        significant(layer.update_ratio),
    )


def _prediction(layer: LayerReading) -> str:
    """Such as ``0.234 ±8 %``."""
    if layer.gain_predicted is None or layer.gain_scatter is None:
        return "-"
    return f"{significant(layer.gain_predicted)} {_scatter(layer.gain_scatter):>5}"


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
