"""Writes the weights of a run as safetensors, with its config beside them.

  python src/export.py RUN_DIR                         RUN_DIR/best.safetensors
  python src/export.py RUN_DIR --checkpoint last       RUN_DIR/last.safetensors
  python src/export.py RUN_DIR --output net.safetensors

RUN_DIR is a directory under logs/train/runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gradvitals.app.commands.loading_line import announce_loading


def main() -> None:
    """Write the file and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the run")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="which weights; best")
    parser.add_argument("--output", type=Path, metavar="FILE", help="RUN_DIR/CHECKPOINT.safetensors")
    arguments = parser.parse_args()
    announce_loading("torch, to export")
    from gradvitals.app.config.checkout import read_checkout
    from gradvitals.app.config.error_messages import errors_in_one_line
    from gradvitals.formatting import in_shell

    read_checkout()
    with errors_in_one_line():
        from gradvitals.app.commands.export import export

        file = export(arguments.run_dir, arguments.checkpoint, arguments.output)
    print(f"weights      {in_shell(file)} ({file.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
