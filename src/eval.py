"""Tests a trained run, on its own test data or on other data of the same kind.

  python src/eval.py RUN_DIR                     its test data again
  python src/eval.py RUN_DIR data.path=NEW.csv   another table
  python src/eval.py RUN_DIR --checkpoint last   the last weights, not the best

RUN_DIR is a directory under logs/train/runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gradvitals.app.commands.loading_line import announce_loading


def main() -> None:
    """Print the test metrics of one run, and what was tested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the run")
    parser.add_argument(
        "overrides", nargs="*", metavar="data.KEY=VALUE", help="data settings that differ from the run's"
    )
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="which weights; best")
    arguments = parser.parse_args()
    announce_loading("torch and Lightning, to test")
    from gradvitals.app.commands.evaluate import evaluate
    from gradvitals.app.config.checkout import read_checkout
    from gradvitals.app.config.error_messages import errors_in_one_line

    read_checkout()
    with errors_in_one_line():
        found = evaluate(arguments.run_dir, arguments.overrides, arguments.checkpoint)
    print(found)


if __name__ == "__main__":
    main()
