"""The launchers, where Hydra looks for plugins."""

from collections.abc import Callable, Sequence
from typing import Any

from hydra.plugins.launcher import Launcher


class Fork(Launcher):
    """Runs jobs in forked workers; it imports what that needs when it is set up, because every command scans this."""

    def __init__(self, n_jobs: int | str = "auto") -> None:
        self._n_jobs = n_jobs
        self.meanwhile: Callable[[], None] = lambda: None

    def setup(self, **context: Any) -> None:
        """Sets up the launcher; called by Hydra."""
        from gradvitals.app.sweep.fork_launcher import ForkLauncher

        self._launcher = ForkLauncher(self._n_jobs)
        self._launcher.setup(**context)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Any:
        """Runs jobs, and calls ``meanwhile`` again and again while they run."""
        return self._launcher.launch(job_overrides, initial_job_idx, self.meanwhile)
