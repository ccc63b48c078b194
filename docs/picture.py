"""Draw the README's picture: ``python docs/picture.py RUN_DIR... --out docs/gradient_by_layer.png``.

One line per run: the norm of each layer's weight gradient at the first step, from the runs' ``vitals.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")  # told apart by colour-blind people too (Okabe & Ito, 2008)


def main() -> None:
    """Read the runs and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for run, colour in zip(arguments.runs, COLOURS, strict=False):
        layers = json.loads((run / "vitals.json").read_text())["layers"]
        norms = [layer["grad_norm"]["start"] for layer in layers]
        axes.plot(range(1, len(norms) + 1), norms, "o-", color=colour, markersize=4, linewidth=1.8)
        aside = (14, -12) if norms[1] > 2 * norms[0] else (8, 12)  # below a line that climbs
        axes.annotate(label(run), (1, norms[0]), aside, textcoords="offset points", color=colour, fontweight="bold")
    axes.set(yscale="log", xlabel="layer (1 is next to the input)", ylabel="norm of dL/dW at the first step")
    axes.set_title("20 layers: where the gradients go", loc="left", fontweight="bold")
    axes.set_xticks(range(1, 22, 4))
    axes.margins(y=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    figure.savefig(arguments.out, dpi=150)


def label(run: Path) -> str:
    """Model, activation and gain, as the run's result says."""
    typed = dict(word.split("=") for word in json.loads((run / "result.json").read_text())["overrides"])
    return " ".join(f"{group}={typed[group]}" for group in ("model", "act", "init.gain") if group in typed)


if __name__ == "__main__":
    main()
