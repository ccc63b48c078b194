"""Results that show themselves, as a table in a terminal and as HTML in a notebook: a pre-flight and a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradvitals.formatting import visible
from gradvitals.results.aggregate import Configuration, Sweep, fold
from gradvitals.results.record import locate, read
from gradvitals.signal_propagation.reading import Preflight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gradvitals.signal_propagation.preflight import Loss, OptimizerFactory

DPI = 80  # dots per inch of a picture in a notebook


class _InTerminal:
    """What IPython shows in a terminal is the text."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


@dataclass(frozen=True)
class DisplayedPreflight(_InTerminal, Preflight):
    """A pre-flight, which a notebook shows as a table of its layers.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(4, 3)
        >>> found = preflight(net, (torch.randn(16, 4), torch.arange(16) % 3), torch.nn.functional.cross_entropy)
        >>> found.verdict[0], found.layers[0].kind
        ('unknown', 'Linear')
    """

    def __str__(self) -> str:
        from gradvitals.report.tables.preflight import table

        return visible(table(self))

    def _repr_html_(self) -> str:
        from gradvitals.report.pages.notebook import preflight_card

        return preflight_card(self, self._picture() if self.through_time and find_spec("matplotlib") else None)

    def _picture(self) -> bytes | None:
        from gradvitals.report.pictures.canvas import small_png
        from gradvitals.report.pictures.gradient_through_time import preflight_through_time

        drawable = [reading for reading in self.through_time if any(map(math.isfinite, reading.norms))]
        return small_png(preflight_through_time(drawable), DPI) if drawable else None


def preflight(
    network: nn.Module, batch: tuple[Tensor, Tensor], loss: Loss, optimizer: OptimizerFactory | None = None
) -> DisplayedPreflight:
    """Measures one batch as :func:`gradvitals.signal_propagation.preflight.preflight` does, which has the details.

    Args:
        network: any module; called with the batch's inputs.
        batch: inputs and targets, tensors of any shapes that the network and the loss take.
        loss: a function of outputs and targets, with a mean over the batch.
        optimizer: a function from parameters to an optimizer, for ``update_ratio``; None: no first step is tried.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
        >>> found = preflight(net, (torch.randn(16, 4), torch.arange(16) % 3), torch.nn.functional.cross_entropy)
        >>> str(found).split()[:5], [layer.name for layer in found.layers]
        (['layer', 'mean', 'std', 'dead', 'satur.'], ['0', '2'])
    """
    from gradvitals.signal_propagation.preflight import preflight as measure

    found = measure(network, batch, loss, optimizer)
    return DisplayedPreflight(**{each.name: getattr(found, each.name) for each in fields(found)})


@dataclass(frozen=True)
class DisplayedSweep(_InTerminal):
    """A sweep's runs, aggregated; a notebook shows them as a table, the best configuration first.

    Example:
        >>> sorted(name for name in dir(DisplayedSweep) if not name.startswith("_"))
        ['rows', 'to_frame']
    """

    sweep: Sweep

    @property
    def rows(self) -> Sequence[Configuration]:
        """The configurations, the best first."""
        return self.sweep.rows

    def to_frame(self, library: str | None = None) -> Any:
        """Returns the content of ``sweep.csv``: one row for each configuration, the best first.

        Args:
            library: ``pandas`` or ``polars``; None: pandas where it is installed, else polars.

        Raises:
            ImportError: neither library is installed, or not the one that was asked for.
        """
        from gradvitals.report.tables.frame import frame
        from gradvitals.report.tables.sweep import numbers

        rows = numbers(self.sweep)
        return frame({name: [row[name] for row in rows] for name in rows[0]}, library)

    def __str__(self) -> str:
        from gradvitals.report.tables.sweep import answer, text

        return visible(f"{text(self.sweep)}\n{answer(self.sweep)}")

    def _repr_html_(self) -> str:
        from gradvitals.report.pages.notebook import sweep_card

        return sweep_card(self.sweep)


def read_sweep(folder: str | Path) -> DisplayedSweep:
    """Reads the runs of a sweep, or any runs below a folder, and aggregates them over seeds and folds.

    Args:
        folder: such as ``logs/train/multiruns/2026-01-31_12-00-00``.

    Raises:
        ValueError: there is no run in it.

    Example:
        >>> from tempfile import mkdtemp
        >>> read_sweep(mkdtemp())
        Traceback (most recent call last):
        ...
        ValueError: ...
    """
    return DisplayedSweep(fold([read(run) for run in locate([Path(folder)])]))
