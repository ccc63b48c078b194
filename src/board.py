"""Serves TensorBoard on some runs: ``python src/board.py [DIR...]``."""

from gradvitals.app.commands.script import run_script

if __name__ == "__main__":
    run_script(__file__)
