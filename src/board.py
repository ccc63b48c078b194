"""TensorBoard, opened on the losses and metrics of training and validation: ``python src/board.py [DIR...]``.

DIR is a run directory, or a folder that contains some at any depth, such as a sweep; without one it is logs. Of more
runs than TensorBoard draws quickly the newest are shown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gradvitals.app.commands.board import serve

NEWEST = 40  # runs that TensorBoard selects by itself; of more it selects none, and a browser takes half a minute


def main() -> None:
    """Serve until Ctrl-C."""
    summary, _, more = str(__doc__).partition("\n\n")
    parser = argparse.ArgumentParser(description=f"{summary} {more}")
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", default=[Path("logs")])
    parser.add_argument("--newest", type=int, default=NEWEST, metavar="N", help=f"how many runs to show ({NEWEST})")
    parser.add_argument("--port", type=int, help="6006, or the next free one")
    arguments = parser.parse_args()
    try:
        serve(arguments.folders, arguments.newest, arguments.port)
    except ValueError as error:
        print(f"gradvitals: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
