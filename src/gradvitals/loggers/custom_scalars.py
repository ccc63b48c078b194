"""TensorBoard's page of custom scalars: all layers in one chart, and the band from the first to the last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NAME = "Gradient vitals"
CHARTS = {
    "activation_grad_norm": "dL/dh of every layer",
    "grad_norm": "dL/dW of every layer, before clipping",
    "grad_norm_clipped": "dL/dW of every layer, after clipping",
    "update_ratio": "update-to-weight ratio of every layer",
    "activation_std": "activation std of every layer",
    "dead_fraction": "fraction of dead units of every layer",
    "saturated_fraction": "fraction of saturated outputs of every layer",
}
Layout = Mapping[str, Mapping[str, list[Any]]]


def layout(tags: Iterable[str]) -> Layout:
    """Returns the charts of what is logged.

    Args:
        tags: ``kind/LAYER``; LAYER begins with its index, so that sorting is by depth.

    Returns:
        As ``torch.utils.tensorboard.summary.custom_scalars`` takes it; a margin chart names value, lower and upper.
        TensorBoard joins the charts of several runs, which is why a title contains the depth.

    Example:
        >>> layout([f"activation_grad_norm/{i}.net" for i in range(3)])["Gradient vitals"]["dL/dh of every layer"]
        ['Multiline', ['^activation_grad_norm/[0-9]']]
    """
    layers: dict[str, list[str]] = {kind: [] for kind in CHARTS}
    for tag in sorted(tags):
        kind, _, layer = tag.partition("/")
        if kind in CHARTS and layer[:1].isdigit():
            layers[kind].append(tag)
    charts: dict[str, list[Any]] = {
        title: ["Multiline", [f"^{kind}/[0-9]"]] for kind, title in CHARTS.items() if layers[kind]
    }
    outputs = layers["activation_grad_norm"]
    if len(outputs) > 1:
        first, middle, last = outputs[0], outputs[len(outputs) // 2], outputs[-1]
        title = f"dL/dh of layer {_index(middle)}, band from layer {_index(first)} to {_index(last)}"
        charts[title] = ["Margin", [middle, first, last]]
    return {NAME: charts}


def _index(tag: str) -> str:
    """The index of a layer, or of a block's first and last."""
    label = tag.partition("/")[2].partition(".")[0]
    return "-".join(str(int(index)) for index in label.split("-"))
