"""Cures a network that does not learn: ``python src/cure.py model=plain act=sigmoid model.depth=12``."""

from gradvitals.app.commands.script import run_script

if __name__ == "__main__":
    run_script(__file__)
