"""Mean-field predictions for wide networks at initialization. All factors apply to SQUARED norms.

The arguments have the same meaning in all functions: ``act`` is an activation's name, or a callable on float64 tensors;
``sigma_w2`` is ``fan_in * Var W`` and ``sigma_b2`` the variance of the bias (0 where it is missing); ``q`` is the
variance of the pre-activations, ``q1`` that of the first layer and ``q0`` the mean square of the input; ``depth`` is a
number of layers, ``width`` a number of units, ``batch_size`` the number of samples that BatchNorm averages over (None:
many). All are plain numbers without a unit. Unknown names of activations raise ValueError.

Example:
    >>> round(gain("sigmoid", sigma_w2=1.0), 2)  # the factor of |dL/dh|^2 per layer
    0.06
"""

from gradvitals.theory.correlation import (
    batchnorm_trainable_depth,
    correlation_depth,
    correlation_map,
    settled_correlation,
    trainable_depth,
)
from gradvitals.theory.finite_width import born_dead, kurtosis, log_scatter, relu_log_moments
from gradvitals.theory.gain_prediction import Prediction, Stage, predict
from gradvitals.theory.gaussian_moments import elementwise, mean, moment, second_moment, slope_moment
from gradvitals.theory.mean_field import (
    chi,
    critical_sigma_w2,
    edge_of_chaos,
    fixed_point,
    gain,
    lsuv_sigma_w2,
    trajectory,
    variance_map,
    weight_gain,
)
from gradvitals.theory.normalized import batchnorm_gain, layernorm_gain, variance
from gradvitals.theory.recurrence import Gate, gru_factor, lstm_factor, memory_length, rnn_factor, settled
from gradvitals.theory.residual import dense_growth, residual_growth
from gradvitals.theory.shared_matrix import shared_matrix_factor

__all__ = [
    "Gate",
    "Prediction",
    "Stage",
    "batchnorm_gain",
    "batchnorm_trainable_depth",
    "born_dead",
    "chi",
    "correlation_depth",
    "correlation_map",
    "critical_sigma_w2",
    "dense_growth",
    "edge_of_chaos",
    "elementwise",
    "fixed_point",
    "gain",
    "gru_factor",
    "kurtosis",
    "layernorm_gain",
    "log_scatter",
    "lstm_factor",
    "lsuv_sigma_w2",
    "mean",
    "memory_length",
    "moment",
    "predict",
    "relu_log_moments",
    "residual_growth",
    "rnn_factor",
    "second_moment",
    "settled",
    "settled_correlation",
    "shared_matrix_factor",
    "slope_moment",
    "trainable_depth",
    "trajectory",
    "variance",
    "variance_map",
    "weight_gain",
]
