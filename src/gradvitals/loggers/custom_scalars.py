"""TensorBoard's page of custom scalars: all layers in one chart for each kind of number."""

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
        As ``torch.utils.tensorboard.summary.custom_scalars`` takes it. TensorBoard joins the charts of several runs and
        shows each different one, so a chart names no layer: it would be empty for all runs without that layer.

    Example:
        >>> layout([f"activation_grad_norm/{i}.net" for i in range(3)])["Gradient vitals"]["dL/dh of every layer"]
        ['Multiline', ['^activation_grad_norm/[0-9]']]
    """
    parts = [tag.partition("/") for tag in tags]
    logged = {kind for kind, _, layer in parts if layer[:1].isdigit()}
    return {NAME: {title: ["Multiline", [f"^{kind}/[0-9]"]] for kind, title in CHARTS.items() if kind in logged}}
