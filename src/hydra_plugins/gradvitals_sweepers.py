"""The sweepers, where Hydra looks for plugins."""

from gradvitals.app.sweep.grid_sweeper import GridSweeper
from gradvitals.app.sweep.optuna_sweeper import SearchSweeper


class Grid(GridSweeper):
    """Every combination."""


class Search(SearchSweeper):
    """The next trial by what the ones before have shown."""
