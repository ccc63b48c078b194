"""What is measured: pure functions on tensors and modules, usable in a hand-written loop."""

from gradvitals.vitals.gradients import ActivationGradients, InputGradient, cosine, norms, total
from gradvitals.vitals.layers import ForwardOrder, Layer, find_layers, is_layer
from gradvitals.vitals.parameters import Count, count

__all__ = [
    "ActivationGradients",
    "Count",
    "ForwardOrder",
    "InputGradient",
    "Layer",
    "cosine",
    "count",
    "find_layers",
    "is_layer",
    "norms",
    "total",
]
