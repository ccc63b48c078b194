"""Writes the predictions of a run for a table: ``python src/predict.py RUN_DIR data.path=NEW.csv``."""

from gradvitals.app.commands.script import run_script

if __name__ == "__main__":
    run_script(__file__)
