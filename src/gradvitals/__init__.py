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
    from gradvitals.displayed_results import preflight, read_sweep
    from gradvitals.integrations.watch import Vitals, watch
    from gradvitals.nets.mlp import MLP

__all__ = [
    "MLP",
    "Classifier",
    "GradientPicture",
    "GradientVitals",
    "Vitals",
    "diagnose",
    "preflight",
    "read_sweep",
    "watch",
]
__version__ = "0.1.0"

_HOMES = {
    "Classifier": "gradvitals.classifier",
    "GradientPicture": "gradvitals.callbacks.gradient_picture",
    "GradientVitals": "gradvitals.callbacks.gradient_vitals",
    "diagnose": "gradvitals.diagnosis.diagnose",
    "preflight": "gradvitals.displayed_results",
    "read_sweep": "gradvitals.displayed_results",
    "MLP": "gradvitals.nets.mlp",
    "Vitals": "gradvitals.integrations.watch",
    "watch": "gradvitals.integrations.watch",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        with naming_extras(f"gradvitals.{name}"):
            return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gradvitals' has no attribute {name!r}")
