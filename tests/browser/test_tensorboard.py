"""What a person finds in TensorBoard after a sick run and a healthy one, in a real browser."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.commands.test_board import served

GROUPS = [
    "activation_grad_norm", "activation_mean", "activation_std", "dead_fraction", "epoch", "grad_norm",
    "grad_norm_corrected", "lr-Adam", "saturated_fraction", "test", "train", "update_ratio", "val", "vitals",
    "weight_norm",
]  # fmt: skip
EVERY_LAYER = "tf-custom-scalar-multi-line-chart-card"
CELLS = """cells => cells.map(cell => [cell.getBoundingClientRect(), cell.innerText.trim()])
    .filter(([place, text]) => place.width && text).map(([place, text]) => [Math.floor(place.top / 30), place.left, text])"""


@pytest.fixture
def visit(chromium, board) -> Iterator[Callable[..., Any]]:
    """Opens one of TensorBoard's pages and waits for what is expected there."""
    page = chromium.new_page(viewport={"width": 1600, "height": 1200})
    page.set_default_timeout(60_000)

    def go(name: str, expected: str) -> Any:
        page.goto(f"{board}#{name}")
        page.locator(expected).first.wait_for()
        return page

    yield go
    page.close()


def content(run: Path, name: str) -> dict[str, Any]:
    return json.loads((run / name).read_text())


def shown_name(run: Path) -> str:
    """What TensorBoard calls a run: its folder within logs/."""
    return str(run.relative_to(run.parents[2]))


def drawn(cards: Any, part: str, count: int) -> None:
    """Wait until so many lines or areas of the charts go from somewhere to somewhere."""
    cards.locator(f"{part} path[d*='L']").nth(count - 1).wait_for(state="attached")


def test_it_opens_on_training_and_validation_and_names_the_run(chromium, two_runs):
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    with served(two_runs[0]) as address:
        page.goto(address)
        cards = page.locator("metrics-pinned-view card-view tb-truncated-path")
        cards.nth(2).wait_for(timeout=60_000)
        shown = ["".join(words.split()) for words in cards.all_inner_texts()]
        assert shown[:2] == ["train/loss", "val/loss"]
        assert "val/acc" in shown
        assert cards.first.bounding_box()["y"] < 300  # in sight, above all groups
        page.locator("runs-data-table").get_by_text(two_runs[0].name).wait_for()
    page.close()


def test_hparams_compare_the_runs_by_real_metrics(visit, two_runs):
    page = visit("hparams", "vaadin-grid-cell-content:has-text('sigmoid')")
    rows: dict[int, list[str]] = {}
    for row, _, text in sorted(page.locator("vaadin-grid-cell-content").evaluate_all(CELLS)):
        rows.setdefault(row, []).append(text)
    head, *others = [cells for cells in rows.values() if len(cells) > 2]
    names = [words for words in head if "Show" not in words]
    assert (names[0], names[1], names[-2:]) == ("Trial ID", "act", ["val/acc", "vitals/severity"])
    found = {cells[0]: cells[1:] for cells in others}
    assert set(found) == {shown_name(run) for run in two_runs}
    for run, act in zip(two_runs, ("sigmoid", "elu"), strict=True):
        shown, accuracy, severity = found[shown_name(run)][0], *found[shown_name(run)][-2:]
        assert shown == act
        assert float(accuracy) == pytest.approx(content(run, "result.json")["metrics"]["val/acc"]["final"], rel=1e-4)
        assert float(severity) == pytest.approx(content(run, "vitals.json")["severity"], rel=1e-4)
    assert float(found[shown_name(two_runs[0])][-1]) > 0.9 > float(found[shown_name(two_runs[1])][-1])


def test_custom_scalars_show_all_layers_in_one_chart(visit, two_runs):
    page = visit("custom_scalars", EVERY_LAYER)
    assert page.locator("tf-category-paginated-view .category-name").all_inner_texts() == ["Gradient vitals"]
    chart = page.locator(EVERY_LAYER, has_text="dL/dh of every layer")
    lines = sum(len(content(run, "vitals.json")["layers"]) for run in two_runs)
    drawn(chart, ".line-plot", lines)
    chart.get_by_text(f"Matches ({lines})").wait_for()  # it has no others
    scale = chart.get_by_title("Toggle y-axis log scale")
    scale.click()  # a vanishing gradient shows its decades
    chart.locator(".y-axis text", has_text="e-8").first.wait_for(state="attached")


def test_no_chart_of_custom_scalars_is_empty_or_of_one_network_alone(visit):
    page = visit("custom_scalars", EVERY_LAYER)
    for chart in page.locator(EVERY_LAYER).all():
        drawn(chart, ".line-plot", 1)
    assert page.locator("tf-custom-scalar-margin-chart-card").count() == 0  # a band names layers of one network
    assert page.get_by_text("Missing Tags").count() == 0


def test_pictures_have_a_slider_of_steps(visit, two_runs):
    page = visit("images", "tf-image-loader img")
    cards = page.locator("tf-image-loader")
    names = zip(cards.locator(".name").all_inner_texts(), cards.locator("#heading-run").all_inner_texts(), strict=True)
    tags = ("vitals/gradient_by_layer", "vitals/gradient_heatmap")
    assert sorted(names) == sorted((tag, shown_name(run)) for tag in tags for run in two_runs)
    last = content(two_runs[0], "result.json")["steps"]
    for card in cards.all():
        card.get_by_text(f"step {last}").wait_for()
        at_the_end = picture(page, card)
        card.locator("#steps").focus()
        page.keyboard.press("Home")
        card.get_by_text(f"step {last // 3}").wait_for()  # of three epochs the first
        deadline = time.monotonic() + 20  # the words change before the picture has come
        while picture(page, card) == at_the_end:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def picture(page: Any, card: Any) -> bytes:
    """The PNG that a card shows."""
    image = card.locator("img")
    image.evaluate("image => image.decode()")  # loaded, and one that a browser can draw
    answer = page.request.get(image.evaluate("image => image.src")).body()
    assert answer.startswith(b"\x89PNG")
    return answer


def test_the_verdict_is_shown_as_text(visit, two_runs):
    page = visit("text", "tf-text-loader tf-markdown-view p")
    shown = {}
    for card in page.locator("tf-text-loader").all():
        card.locator("tf-markdown-view p").first.wait_for()
        shown[card.locator("#heading-run").inner_text()] = card.locator("tf-markdown-view p").first.inner_text()
        assert card.locator(".name").inner_text() == "vitals/verdict"
    assert set(shown) == {shown_name(run) for run in two_runs}
    finding = content(two_runs[0], "vitals.json")["findings"][0]
    assert shown[shown_name(two_runs[0])].startswith("vanishing at step 50: ")
    assert finding["evidence"] in shown[shown_name(two_runs[0])]
    assert shown[shown_name(two_runs[1])] == content(two_runs[1], "vitals.json")["verdict"] == "healthy"


def test_a_group_per_quantity_and_layers_by_depth(visit, two_runs):
    page = visit("scalars", "tf-scalar-card .heading-label")
    groups = page.locator("tf-category-paginated-view .category-name").all_inner_texts()
    assert [group.strip() for group in groups] == GROUPS
    page.locator("tf-scalar-card").nth(11).wait_for()  # a page of cards
    layers = {(layer["index"], layer["name"]) for run in two_runs for layer in content(run, "vitals.json")["layers"]}
    by_depth = [f"activation_grad_norm/{index:02}.{name}" for index, name in sorted(layers)]
    cards = page.locator("tf-scalar-card").evaluate_all("cards => cards.map(card => card.tag)")
    assert cards[:12] == by_depth[:12]


def test_runs_are_named_by_what_they_changed(visit, two_runs):
    names = visit("text", ".item-label-container").locator(".item-label-container").all_inner_texts()
    for run, changed in zip(two_runs, ("act-sigmoid_model.depth-12", "model-bn_act-elu"), strict=True):
        (name,) = [words.strip() for words in names if changed in words]
        assert name == shown_name(run)
        assert name.startswith(f"train/runs/trainer.max_epochs-3_{changed}_20")  # in the typed order, then the date
