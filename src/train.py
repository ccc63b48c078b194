"""Trains one network, or a sweep of them: ``python src/train.py model=bn act=elu``."""

from gradvitals.app.commands.script import run_script

if __name__ == "__main__":
    run_script(__file__)
