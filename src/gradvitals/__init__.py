"""gradvitals: visible and healthy gradients for deep networks in PyTorch, in any training loop.

Names are imported at first use, so that ``import gradvitals`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradvitals.errors import naming_extras

if TYPE_CHECKING:
    from gradvitals.callbacks.gradient_picture import GradientPicture
    from gradvitals.callbacks.gradient_vitals import GradientVitals
    from gradvitals.classifier import Classifier
    from gradvitals.diagnosis.diagnose import diagnose
    from gradvitals.nets.mlp import MLP
    from gradvitals.signal_propagation.preflight import preflight

__all__ = ["MLP", "Classifier", "GradientPicture", "GradientVitals", "diagnose", "preflight"]
__version__ = "0.1.0"

_HOMES = {
    "Classifier": "gradvitals.classifier",
    "GradientPicture": "gradvitals.callbacks.gradient_picture",
    "GradientVitals": "gradvitals.callbacks.gradient_vitals",
    "diagnose": "gradvitals.diagnosis.diagnose",
    "preflight": "gradvitals.signal_propagation.preflight",
    "MLP": "gradvitals.nets.mlp",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        with naming_extras(f"gradvitals.{name}"):
            return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gradvitals' has no attribute {name!r}")
