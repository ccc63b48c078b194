"""Serves TensorBoard, opened on the losses and metrics of training and validation.

  python src/board.py                              the newest runs in logs
  python src/board.py logs/train/multiruns/NAME    a sweep, or one run
  python src/board.py --newest 100                 more runs, slowly

DIR is a run directory, or a folder that contains some at any depth, such as a
sweep. Of more runs than TensorBoard draws quickly the newest are shown. Ctrl-C
ends it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gradvitals.app.commands.board import serve
from gradvitals.app.commands.loading_line import announce_loading

NEWEST = 40  # runs that TensorBoard selects by itself; of more it selects none, and a browser takes half a minute


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="DIR", default=[Path("logs")], help="run directories, or folders; logs"
    )
    parser.add_argument("--newest", type=int, default=NEWEST, metavar="N", help=f"how many runs to show ({NEWEST})")
    parser.add_argument("--port", type=int, help="6006, or the next free one")
    arguments = parser.parse_args()
    if arguments.newest < 1:
        parser.error(f"--newest: expected a number of 1 or more; got {arguments.newest}")
    announce_loading("TensorBoard")
    try:
        serve(arguments.folders, arguments.newest, arguments.port)
    except ValueError as error:
        print(f"gradvitals: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
