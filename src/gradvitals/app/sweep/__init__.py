"""Sweeps: which jobs are run, how they are watched, and the answer they end in."""
