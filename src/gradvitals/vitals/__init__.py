"""What is measured: pure functions on tensors and modules, usable in a hand-written loop."""

from gradvitals.vitals.gradients import InputGradient, norms, total
from gradvitals.vitals.layers import ForwardOrder, Layer, find_layers

__all__ = ["ForwardOrder", "InputGradient", "Layer", "find_layers", "norms", "total"]
