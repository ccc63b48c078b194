"""Looks at a network before it is trained: ``python src/preflight.py model=plain act=sigmoid model.depth=30``."""

from gradvitals.app.commands.script import run_script

if __name__ == "__main__":
    run_script(__file__)
