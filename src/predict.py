"""Writes the predictions of a trained run for every row of a table.

  python src/predict.py RUN_DIR data.path=NEW.csv
  python src/predict.py RUN_DIR data.path=NEW.csv --output predictions.csv
  python src/predict.py RUN_DIR data.path=NEW.csv 'data.separator=";"'

RUN_DIR is a directory under logs/train/runs, of a run with data=csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gradvitals.app.commands.loading_line import announce_loading


def main() -> None:
    """Write the predictions and print what they are and where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the run")
    parser.add_argument("overrides", nargs="*", metavar="data.KEY=VALUE", help="data.path=FILE, and how it is read")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="which weights; best")
    parser.add_argument("--output", type=Path, metavar="FILE", help="RUN_DIR/predictions_NAME.csv")
    arguments = parser.parse_args()
    announce_loading("torch and Lightning, to predict")
    from gradvitals.app.commands.predict import predict
    from gradvitals.app.config.checkout import read_checkout
    from gradvitals.app.config.error_messages import errors_in_one_line

    read_checkout()
    with errors_in_one_line():
        found = predict(arguments.run_dir, arguments.overrides, arguments.checkpoint, arguments.output)
    print(found)


if __name__ == "__main__":
    main()
