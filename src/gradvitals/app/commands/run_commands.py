"""The commands on runs that have been trained: what may be typed, and what is printed.

The module itself imports nothing heavy, so that ``--help`` and the first line come at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradvitals.app.commands.loading_line import announce_loading, missing_extra_in_one_line, refuse

BOARD = """Serves TensorBoard, opened on the losses and metrics of training and validation.

  COMMAND                              the newest runs in logs
  COMMAND logs/train/multiruns/NAME    a sweep, or one run
  COMMAND --newest 100                 more runs, slowly

DIR is a run directory, or a folder that contains some at any depth, such as a
sweep. Of more runs than TensorBoard draws quickly the newest are shown. Ctrl-C
ends it.
"""
EVAL = """Tests a trained run, on its own test data or on other data of the same kind.

  COMMAND RUN_DIR                     its test data again
  COMMAND RUN_DIR data.path=NEW.csv   another table
  COMMAND RUN_DIR --checkpoint last   the last weights, not the best

RUN_DIR is a directory under logs/train/runs.
"""
EXPORT = """Writes the weights of a run as safetensors, with its config beside them.

  COMMAND RUN_DIR                         RUN_DIR/best.safetensors
  COMMAND RUN_DIR --checkpoint last       RUN_DIR/last.safetensors
  COMMAND RUN_DIR --output net.safetensors

RUN_DIR is a directory under logs/train/runs.
"""
PREDICT = """Writes the predictions of a trained run for every row of a table.

  COMMAND RUN_DIR data.path=NEW.csv
  COMMAND RUN_DIR data.path=NEW.csv --output predictions.csv
  COMMAND RUN_DIR data.path=NEW.csv 'data.separator=";"'

RUN_DIR is a directory under logs/train/runs, of a run with data=csv.
"""
REPORT = """Writes one page about a run, or one that compares many.

  COMMAND RUN_DIR                   RUN_DIR/report.html
  COMMAND logs/train -o all.html    all runs in a folder
  COMMAND SWEEP_DIR RUN_DIR         a sweep beside another run

DIR is a run directory, or a folder that contains some at any depth, such as a
sweep. The page of one run goes into its directory, that of several into the
folder that contains all of them.
"""
NEWEST = 40  # runs that TensorBoard selects by itself; of more it selects none, and a browser takes half a minute


def board_command(command: str) -> None:
    """Serves TensorBoard until Ctrl-C; ``command`` is how the command is typed, as in the other functions here."""
    parser = parser_of(command, BOARD)
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="DIR", default=[Path("logs")], help="run directories, or folders; logs"
    )
    parser.add_argument("--newest", type=int, default=NEWEST, metavar="N", help=f"how many runs to show ({NEWEST})")
    parser.add_argument("--port", type=int, help="6006, or the next free one")
    arguments = parser.parse_args()
    if arguments.newest < 1:
        parser.error(f"--newest: expected a number of 1 or more; got {arguments.newest}")
    announce_loading("TensorBoard")
    from gradvitals.app.commands.board import serve

    try:
        with missing_extra_in_one_line(command):
            serve(arguments.folders, arguments.newest, arguments.port)
    except ValueError as error:
        refuse(error)


def eval_command(command: str) -> None:
    """Prints the test metrics of one run, and what was tested."""
    parser = parser_of(command, EVAL)
    _add_run(parser)
    parser.add_argument(
        "overrides", nargs="*", metavar="data.KEY=VALUE", help="data settings that differ from the run's"
    )
    arguments = parser.parse_args()
    with _loaded(command, "torch and Lightning, to test"):
        from gradvitals.app.commands.evaluate import evaluate

        found = evaluate(arguments.run_dir, arguments.overrides, arguments.checkpoint)
    print(found)


def export_command(command: str) -> None:
    """Writes the weights of a run and prints where."""
    parser = parser_of(command, EXPORT)
    _add_run(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="RUN_DIR/CHECKPOINT.safetensors")
    arguments = parser.parse_args()
    with _loaded(command, "torch, to export"):
        from gradvitals.app.commands.export import export
        from gradvitals.formatting import in_shell

        file = export(arguments.run_dir, arguments.checkpoint, arguments.output)
    print(f"weights      {in_shell(file)} ({file.stat().st_size / 1e6:.1f} MB)")


def predict_command(command: str) -> None:
    """Writes the predictions and prints what they are and where."""
    parser = parser_of(command, PREDICT)
    _add_run(parser)
    parser.add_argument("overrides", nargs="*", metavar="data.KEY=VALUE", help="data.path=FILE, and how it is read")
    parser.add_argument("--output", type=Path, metavar="FILE", help="RUN_DIR/predictions_NAME.csv")
    arguments = parser.parse_args()
    with _loaded(command, "torch and Lightning, to predict"):
        from gradvitals.app.commands.predict import predict

        found = predict(arguments.run_dir, arguments.overrides, arguments.checkpoint, arguments.output)
    print(found)


def report_command(command: str) -> None:
    """Writes the page of some runs and prints where it is."""
    from gradvitals.report.pages.phrases import PAGE

    parser = parser_of(command, REPORT)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="run directories, or folders of them")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=f"where to write the page ({PAGE})")
    arguments = parser.parse_args()
    from gradvitals.app.commands.report_page import write_page
    from gradvitals.formatting import in_shell

    try:
        with missing_extra_in_one_line(command):
            file = write_page(arguments.folders, arguments.output)
    except (ValueError, OSError) as error:
        refuse(error)
    print(f"report       {in_shell(file)} ({file.stat().st_size / 1e6:.1f} MB)")


@contextmanager
def _loaded(command: str, what: str) -> Iterator[None]:
    """Prints what the imports inside load, reads the project's settings, and ends every error in one line."""
    announce_loading(what)
    with missing_extra_in_one_line(command):
        from gradvitals.app.config.error_messages import errors_in_one_line
        from gradvitals.app.config.project_settings import read_project_settings

    read_project_settings()
    with errors_in_one_line(), missing_extra_in_one_line(command):
        yield


def parser_of(command: str, text: str) -> argparse.ArgumentParser:
    """Returns a parser whose help is a text, in which COMMAND is how the command is typed."""
    described = text.replace("COMMAND", command)
    kind = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=command.rpartition("/")[2], description=described, formatter_class=kind)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the run")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="which weights; best")
