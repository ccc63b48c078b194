"""HTML pages of runs and sweeps, each in one file."""
