"""The layers of a network, printed when a fit begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelSummary
from torch import nn
from torch.nn.modules import loss
from torch.nn.parameter import is_lazy
from torchmetrics import Metric

WIDTH = 80  # columns of a terminal
NO_LAYERS = (Metric, nn.Identity, nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


class Row(NamedTuple):
    """A layer: the dotted name of its module, its class, the shape of its weight, and its own parameters."""

    name: str
    kind: str
    weight: str
    parameters: str


class LayerSummary(ModelSummary):
    """Prints each layer with the shape of its weight and its number of parameters, at most 80 columns wide.

    It replaces Lightning's summary, whose default shows the whole network in one row, and FLOPs of 0 for every module
    without an ``example_input_array``.

    Args:
        max_rows: how many layers; of more, those in the middle are left out.

    Raises:
        ValueError: fewer than two.
    """

    def __init__(self, max_rows: int = 20) -> None:
        super().__init__()
        if max_rows < 2:
            raise ValueError(f"callbacks.summary.max_rows: expected at least 2; got {max_rows}")
        self.max_rows = max_rows

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            print(layer_table(pl_module, self.max_rows))


def layer_table(module: nn.Module, max_rows: int = 20) -> str:
    """Returns the layers of a network in the order in which they are registered, and a line of totals.

    Example:
        >>> print(layer_table(nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))))
        layer            weight  parameters
        0      Linear  100 x 64       6,500
        1      ReLU
        2      Linear  10 x 100       1,010
        7,510 parameters
        >>> print(layer_table(nn.Sequential(*(nn.Linear(2, 2) for _ in range(50))), max_rows=3))
        layer                weight  parameters
        0            Linear   2 x 2           6
        ... 48 more
        49           Linear   2 x 2           6
        300 parameters
    """
    rows = list(_rows(module))
    if len(rows) > max_rows:
        first, last = max_rows // 2, max_rows - max_rows // 2 - 1
        gap = Row(f"... {len(rows) - first - last} more", "", "", "")
        rows = [*rows[:first], gap, *rows[len(rows) - last :]]
    return "\n".join([*_aligned([Row("layer", "", "weight", "parameters"), *rows]), _totals(module)])


def _rows(module: nn.Module) -> Iterator[Row]:
    for name, layer in module.named_modules():
        own = list(layer.parameters(recurse=False))
        is_no_layer = isinstance(layer, NO_LAYERS) or type(layer).__module__ == loss.__name__
        if own or not (list(layer.children()) or is_no_layer):
            yield Row(name or "(itself)", type(layer).__name__, _shape(getattr(layer, "weight", None)), _number(own))


def _shape(weight: object) -> str:
    return " x ".join(map(str, weight.shape)) if isinstance(weight, nn.Parameter) and not is_lazy(weight) else ""


def _number(parameters: Sequence[nn.Parameter]) -> str:
    if any(map(is_lazy, parameters)):
        return "not known yet"
    frozen = " frozen" if parameters and not any(p.requires_grad for p in parameters) else ""
    return f"{sum(p.numel() for p in parameters):,}{frozen}" if parameters else ""


def _totals(module: nn.Module) -> str:
    known = [p for p in module.parameters() if not is_lazy(p)]
    number, frozen = (sum(p.numel() for p in each) for each in (known, [p for p in known if not p.requires_grad]))
    return f"{number:,} parameters" + (f", of which {frozen:,} are frozen" if frozen else "")


def _aligned(rows: Sequence[Row]) -> list[str]:
    kind, weight, parameters = (max(len(row[i]) for row in rows) for i in (1, 2, 3))
    most = max(WIDTH - kind - weight - parameters - 6, 8)
    names = [name if len(name) <= most else f"...{name[3 - most :]}" for name, *_ in rows]
    name = max(map(len, names))
    return [
        f"{label:<{name}}  {row.kind:<{kind}}  {row.weight:>{weight}}  {row.parameters:>{parameters}}".rstrip()
        for label, row in zip(names, rows, strict=True)
    ]
