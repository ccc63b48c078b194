"""The sweepers, where Hydra looks for plugins."""

from typing import Any

from hydra.plugins.sweeper import Sweeper

from gradvitals.app.sweep.grid_sweeper import GridSweeper
from gradvitals.errors import naming_extras


class Grid(GridSweeper):
    """Runs every combination."""


class Search(Sweeper):
    """Chooses each next trial by the results of those before; it alone imports Optuna, and not before it is set up."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    def setup(self, **context: Any) -> None:
        """Sets up the search; called by Hydra."""
        with naming_extras("sweep=optuna"):
            from gradvitals.app.sweep.optuna_sweeper import SearchSweeper
        self._sweeper = SearchSweeper(**self._options)
        self._sweeper.setup(**context)

    def sweep(self, arguments: list[str]) -> Any:
        """Searches until the number of trials is reached."""
        return self._sweeper.sweep(arguments)
