"""The launchers, where Hydra looks for plugins."""

from gradvitals.app.sweep.fork_launcher import ForkLauncher


class Fork(ForkLauncher):
    """Runs each job in a process that is forked from this one."""
