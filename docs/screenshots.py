"""Takes the README's pictures of TensorBoard: ``python docs/screenshots.py``, which trains and opens Chromium itself.

It trains four networks of twelve layers: sigmoids and ELUs, plain and behind BatchNorm. Only the plain sigmoids vanish.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
NETS = [["model.depth=12", f"model={model}", f"act={act}"] for model in ("plain", "bn") for act in ("sigmoid", "elu")]
NAMED = "hydra.run.dir='logs/${gradvitals.slug:${hydra.overrides.task}}'"  # as usual, without the time
PAGES = {"hparams": "hparams", "layers": "custom_scalars", "pictures": "images", "verdict": "text"}
WIDTH, COLORS = 1200, 64


def main() -> None:
    """Trains, serves, and takes a picture of each page."""
    with tempfile.TemporaryDirectory() as folder:
        for net in NETS:
            subprocess.run([sys.executable, DOCS.parent / "src/train.py", *net, NAMED], cwd=folder, check=True)
        with tensorboard(Path(folder)) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for take in (hparams, layers, pictures, verdict):
                page = browser.new_page(viewport={"width": WIDTH, "height": 1600}, device_scale_factor=1.25)
                page.goto(f"{address}#{PAGES[take.__name__]}")
                save(take(page), DOCS / f"tensorboard_{take.__name__}.png")
            browser.close()


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """Runs TensorBoard on the logs of a folder, at a free port; yields its address once it has read everything."""
    options = ["--host=localhost", "--port=0", "--load_fast=false", "--reload_interval=0", "--reload_task=blocking"]
    call = [sys.executable, "-m", "tensorboard.main", "--logdir=logs", *options]
    with subprocess.Popen(call, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = iter(process.stderr or ())
            yield next(found.group() for line in said if (found := re.search(r"http://\S+", line)))
        finally:
            process.terminate()


def hparams(page: Any) -> bytes:
    """Shows the overrides beside the metrics; other columns are removed, so that the metrics fit."""
    page.locator("vaadin-grid-cell-content", has_text="sigmoid").first.wait_for()
    boxes = page.locator("tf-hparams-query-pane paper-checkbox")
    for name in ("act.alpha", "clip", "clip.val", "data", "data.batch_size", "model"):
        box = boxes.filter(has=page.get_by_text(name, exact=True)).first
        if box.count() and (box.get_attribute("checked") is None) == (name == "model"):  # which is not shown yet
            box.click()
    return shot(page, 345)


def layers(page: Any) -> bytes:
    """Shows all layers in one chart, on a logarithmic axis."""
    page.locator("tf-custom-scalar-multi-line-chart-card .line-plot path[d*='L']").first.wait_for(state="attached")
    page.get_by_text("Ignore outliers in chart scaling").click()
    for card in page.locator("tf-custom-scalar-multi-line-chart-card").all():
        if "dL/d" in card.locator(".heading-label").inner_text():
            card.get_by_title("Toggle y-axis log scale").click()
    return shot(page, 995)


def pictures(page: Any) -> bytes:
    """Shows both pictures of two runs, with their sliders."""
    only(page, "plain")
    return shot(page, 860)


def verdict(page: Any) -> bytes:
    """Shows the verdict."""
    only(page, "sigmoid")
    return shot(page, 690)


def only(page: Any, runs: str) -> None:
    """Shows only the runs whose names match."""
    page.get_by_label("Write a regex to filter runs").fill(runs)
    page.locator("#heading-run", has_not_text=runs).first.wait_for(state="detached")
    page.locator("#heading-run", has_text=runs).first.wait_for()


def shot(page: Any, bottom: int) -> bytes:
    """Returns a picture of the page from its top to ``bottom``, when it no longer changes."""
    page.mouse.move(WIDTH - 5, bottom)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(2000)  # animations
    return page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": bottom})


def save(picture: bytes, path: Path) -> None:
    """Saves a picture with as few colors as look the same."""
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLORS).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
