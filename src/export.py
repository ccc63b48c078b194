"""The weights of a run as safetensors: ``python src/export.py RUN_DIR [--checkpoint last] [--output FILE]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from gradvitals.app.config.error_messages import explain, full_errors, leave


def main() -> None:
    """Write the file and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path, help="a directory under logs/train/runs")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best")
    parser.add_argument("--output", type=Path, metavar="FILE", help="RUN_DIR/CHECKPOINT.safetensors")
    arguments = parser.parse_args()
    try:
        from gradvitals.app.commands.export import export

        file = export(arguments.run_dir, arguments.checkpoint, arguments.output)
    except Exception as error:
        if full_errors():
            raise
        leave(explain(error))
    print(f"weights      {file} ({file.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
