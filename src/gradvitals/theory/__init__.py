"""Mean-field predictions for wide networks at initialisation. All factors are of SQUARED norms.

Example:
    >>> round(gain("sigmoid", sigma_w2=1.0), 2)  # a layer passes on so much of |dL/dh|^2
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
from gradvitals.theory.normalised import batchnorm_gain, layernorm_gain, variance
from gradvitals.theory.residual import dense_growth, residual_growth

__all__ = [
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
    "kurtosis",
    "layernorm_gain",
    "log_scatter",
    "lsuv_sigma_w2",
    "mean",
    "moment",
    "predict",
    "relu_log_moments",
    "residual_growth",
    "second_moment",
    "settled_correlation",
    "slope_moment",
    "trainable_depth",
    "trajectory",
    "variance",
    "variance_map",
    "weight_gain",
]
