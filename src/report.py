"""Writes one page about a run, or one that compares many: ``python src/report.py DIR...``."""

from gradvitals.app.commands.script import run_script

if __name__ == "__main__":
    run_script(__file__)
