"""Makes the README's picture and those of the guides: ``python docs/picture.py``, which trains for about a minute.

The README's picture is of ``experiment=vanishing`` before and after ``python src/cure.py``, for light and for dark
pages. The others are what the runs themselves write.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image

from gradvitals.results.curves import Point, read_curves

DOCS = Path(__file__).parent
SICK = "experiment=vanishing"
RECURRENT = "experiment=rnn_vanishing"
GUESSING = 0.1  # accuracy of a network that knows nothing about ten digits
# Vermilion and blue, distinct with any color vision (Okabe & Ito, 2008); lighter ones on the dark page.
NAMES = ("page", "text", "faint", "grid", "before", "after")
LIGHT = dict(zip(NAMES, ("#ffffff", "#1f2328", "#59636e", "#d8dee4", "#D55E00", "#0072B2"), strict=True))
DARK = dict(zip(NAMES, ("#0d1117", "#f0f6fc", "#9aa4af", "#30363d", "#ff8a3d", "#58b4f0"), strict=True))


def main() -> None:
    """Cures, trains before and after, and saves the pictures beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        run("cure", SICK, "hydra.run.dir=cure", at=logs)
        cured = json.loads((logs / "cure/cure.json").read_text())["cured"]
        for name, words in {"before": [SICK], "after": [SICK, *cured], "time": [RECURRENT]}.items():
            run("train", *words, f"hydra.run.dir={name}", at=logs)
        for colors, name in ((LIGHT, "light"), (DARK, "dark")):
            figure = before_and_after(logs / "before", logs / "after", " ".join(cured), colors)
            figure.savefig(logs / f"{name}.png", dpi=160)
        copies = {
            "light.png": "before_after_light.png",
            "dark.png": "before_after_dark.png",
            "cure/cure.png": "cure.png",
            "before/gradient_by_layer.png": "gradient_by_layer.png",
            "time/gradient_through_time.png": "gradient_through_time.png",
        }
        for made, name in copies.items():
            Image.open(logs / made).convert("RGB").quantize(200).save(DOCS / name, optimize=True)


def run(command: str, *words: str, at: Path) -> None:
    """Runs a command of ``src/`` in a folder."""
    subprocess.run([sys.executable, DOCS.parent / f"src/{command}.py", *words], cwd=at, check=True)


def before_and_after(before: Path, after: Path, remedy: str, colors: Mapping[str, str]) -> Figure:
    """Draws both runs: on the left the gradient of each layer at the first step, on the right the accuracy."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), width_ratios=(1.45, 1), facecolor=colors["page"])
    figure.subplots_adjust(left=0.075, right=0.985, bottom=0.135, top=0.76, wspace=0.2)
    words = {"y": 0.91, "color": colors["text"]}
    figure.text(0.02, s="20 sigmoid layers, before and after", fontsize=15, weight="bold", **words)
    figure.text(0.465, s=f"python src/cure.py {SICK}", fontsize=13, family="monospace", **words)
    for run_dir, name in ((before, "before"), (after, "after")):
        norms = gradients(run_dir)
        left.plot(range(len(norms)), norms, "o-", color=colors[name], markersize=4.5, linewidth=2.2)
        right.plot(*zip(*accuracy(run_dir), strict=True), color=colors[name], linewidth=2.4)
    share = gradients(before)[0] / gradients(before)[-1]
    label(left, (0.98, 0.3), f"before: {share:.0e} of it\nreaches layer 0", colors["before"])
    label(left, (0.98, 0.84), f"after ({remedy}): all of it", colors["after"])
    label(right, (0.97, 0.8), "after: it learns", colors["after"])
    label(right, (0.97, 0.16), "before: it guesses", colors["before"])
    left.set(yscale="log", ylim=(1e-14, 1e3), xticks=range(0, 21, 5), xlabel="layer (0 is next to the input)")
    right.set(ylim=(0, 1.02), xlim=(0, None), xlabel="training step")
    right.yaxis.set_major_formatter(PercentFormatter(1))
    style(left, "Gradient that reaches each layer at the first step (norm of dL/dh)", colors)
    style(right, "Accuracy on validation images", colors)
    return figure


def gradients(run_dir: Path) -> list[float]:
    """Returns the norm of dL/dh of each layer at the first step."""
    layers = json.loads((run_dir / "vitals.json").read_text())["layers"]
    return [layer["activation_grad_norm"]["start"] for layer in layers]


def accuracy(run_dir: Path) -> list[Point]:
    """Returns the validation accuracy by step, which begins with that of guessing."""
    return list(chain([(0, GUESSING)], read_curves(run_dir, ("val/acc",))["val/acc"]))


def label(axes: Axes, at: tuple[float, float], words: str, color: str) -> None:
    """Writes beside a line what it is, in its color; ``at`` is the end of the words, as shares of the axes."""
    axes.text(*at, words, color=color, fontsize=11, weight="bold", ha="right", va="center", transform=axes.transAxes)


def style(axes: Axes, title: str, colors: Mapping[str, str]) -> None:
    """Gives the axes a title and the colors of the page."""
    axes.set_title(title, loc="left", fontsize=10.5, color=colors["text"], pad=9)
    axes.set_facecolor(colors["page"])
    axes.tick_params(colors=colors["faint"], which="both", length=0, labelsize=9)
    axes.xaxis.label.set(color=colors["faint"], fontsize=9.5)
    axes.spines[:].set_visible(False)
    axes.grid(axis="y", color=colors["grid"], linewidth=0.8)
    axes.set_axisbelow(True)


if __name__ == "__main__":
    main()
