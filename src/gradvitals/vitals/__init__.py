"""Measurements: functions of tensors and modules, which also work in a hand-written loop.

Classes that watch a network register hooks when they are made, and remove them by ``close()`` or ``pause()``. Their
argument ``wrap`` is applied to each hook; the default changes nothing, so that an error in a hook is one of the forward
pass.

Example:
    >>> import torch
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> layers = find_layers(net)
    >>> watched = ActivationGradients(layer.module for layer in layers)
    >>> nn.functional.cross_entropy(net(torch.randn(16, 4)), torch.arange(16) % 3).backward()
    >>> norms([layer.weights[0].grad for layer in layers]).shape  # dL/dW of each layer
    torch.Size([2])
    >>> len(watched.take())  # dL/dh of each layer
    2
    >>> watched.close()
"""

from gradvitals.vitals.activation_gradients import ActivationGradients
from gradvitals.vitals.activation_statistics import ActivationStatistics, Outputs, bounds, is_activation, mean_and_std
from gradvitals.vitals.dead_units import DeadUnits
from gradvitals.vitals.histogram import Histogram, histogram
from gradvitals.vitals.identical_units import are_copies
from gradvitals.vitals.input_gradient import InputGradient
from gradvitals.vitals.layer_graph import Chain, Link
from gradvitals.vitals.layer_inputs import LayerInputs
from gradvitals.vitals.layers import ForwardOrder, Layer, UnmatchedPattern, find_layers, is_layer, matches, weights
from gradvitals.vitals.noise_scale import NoiseScale
from gradvitals.vitals.non_finite import NonFinite, first_non_finite
from gradvitals.vitals.norms import are_finite, cosine, dot, joint_norm, local, norm, norms, sums, total
from gradvitals.vitals.parameter_count import Count, count
from gradvitals.vitals.recurrent_inputs import RecurrentInputs
from gradvitals.vitals.signal_graph import SignalGraph, SignalNode
from gradvitals.vitals.time_gradients import TimeGradients

__all__ = [
    "ActivationGradients",
    "ActivationStatistics",
    "Chain",
    "Count",
    "DeadUnits",
    "ForwardOrder",
    "Histogram",
    "InputGradient",
    "Layer",
    "LayerInputs",
    "Link",
    "NoiseScale",
    "NonFinite",
    "Outputs",
    "RecurrentInputs",
    "SignalGraph",
    "SignalNode",
    "TimeGradients",
    "UnmatchedPattern",
    "are_copies",
    "are_finite",
    "bounds",
    "cosine",
    "count",
    "dot",
    "find_layers",
    "first_non_finite",
    "histogram",
    "is_activation",
    "is_layer",
    "joint_norm",
    "local",
    "matches",
    "mean_and_std",
    "norm",
    "norms",
    "sums",
    "total",
    "weights",
]
