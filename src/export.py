"""Writes the weights of a run as safetensors: ``python src/export.py RUN_DIR``."""

from gradvitals.app.commands.script import run_script

if __name__ == "__main__":
    run_script(__file__)
