"""Draws the README's picture: ``python docs/picture.py RUN_DIR... --out docs/gradient_by_layer.png``.

It has one line per run, named by its experiment: the norm of dL/dh at each layer at the first step, as
``vitals.json`` has it.
"""

from __future__ import annotations

import argparse
import json
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # distinct for color-blind people too (Okabe & Ito, 2008)


def main() -> None:
    """Reads the runs and saves the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for run, color in zip(arguments.runs, cycle(COLORS), strict=False):
        layers = json.loads((run / "vitals.json").read_text())["layers"]
        norms = [layer["activation_grad_norm"]["start"] for layer in layers]
        axes.plot(range(len(norms)), norms, "o-", color=color, markersize=4, linewidth=1.8)
        aside = (14, -16) if norms[2] > 10 * norms[0] else (6, 11)  # below a line that climbs
        axes.annotate(name(run), (1, norms[1]), aside, textcoords="offset points", color=color, fontweight="bold")
    axes.set(yscale="log", xlabel="layer index (0 is next to the input)", ylabel="L2 norm of dL/dh at the first step")
    axes.set_title("20 layers: where the gradient goes", loc="left", fontweight="bold")
    axes.set_xticks(range(0, 21, 4))
    axes.margins(y=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    figure.savefig(arguments.out, dpi=150)


def name(run: Path) -> str:
    """Returns the override that names the experiment of a run."""
    overrides = json.loads((run / "result.json").read_text())["overrides"]
    return next(word for word in overrides if word.startswith("experiment="))


if __name__ == "__main__":
    main()
