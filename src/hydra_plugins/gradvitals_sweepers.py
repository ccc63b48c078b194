"""The sweepers, where Hydra looks for plugins."""

from typing import Any

from hydra.plugins.sweeper import Sweeper

from gradvitals.app.sweep.grid_sweeper import GridSweeper
from gradvitals.errors import ConfigError


class Grid(GridSweeper):
    """Runs every combination."""


class Search(Sweeper):
    """Chooses each next trial by the results of those before; it alone imports Optuna, and not before it is set up."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    def setup(self, **context: Any) -> None:
        """Sets up the search; called by Hydra."""
        try:
            from gradvitals.app.sweep.optuna_sweeper import SearchSweeper
        except ModuleNotFoundError as error:
            if error.name != "optuna":
                raise
            install = 'pip install "gradvitals[optuna]"'
            raise ConfigError(f"sweep=optuna needs a package: Optuna. Install it by {install}") from None
        self._sweeper = SearchSweeper(**self._options)
        self._sweeper.setup(**context)

    def sweep(self, arguments: list[str]) -> Any:
        """Searches until the number of trials is reached."""
        return self._sweeper.sweep(arguments)
