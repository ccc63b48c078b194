"""Writes the predictions of a run for a table: ``python src/predict.py RUN_DIR data.path=NEW.csv``."""

from gradvitals.app.commands.run_commands import predict_command

if __name__ == "__main__":
    predict_command("python src/predict.py")
