"""Reports in a real browser: they fetch nothing, draw, answer, read in the dark, print, and run nothing of the data's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.report.pages.cure_page import cure_page
from gradvitals.report.pages.run_page import run_page
from gradvitals.report.pages.runs_page import runs_page
from gradvitals.report.pages.sweep_page import sweep_page
from gradvitals.report.pictures.small_multiples import small_multiples
from gradvitals.results.aggregate import fold
from gradvitals.results.record import Record, below, read
from gradvitals.results.result import Result
from tests.report.made import FINDING, REMEDIES, a_result, a_run, some_vitals, with_curves
from tests.report.pages.test_cure_page import AFTER, BEFORE, FOUND
from tests.report.pages.test_sweep_page import a_sweep

EVIL = "</script><script>document.body.dataset.hacked=1</script><img src=x onerror=document.body.dataset.hacked=1>"
PARALLEL = {  # as Optuna draws its trials
    "data": [{"type": "parcoords", "dimensions": [{"label": name, "values": [1, 2]} for name in ("lr", "depth")]}],
    "layout": {"title": "x", "template": {}},
}
CONTRAST = """(element) => {
  const parts = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const linear = (part) => part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  const light = (color) => parts(color).map(linear).reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const style = getComputedStyle(element);
  const ink = element instanceof SVGElement ? style.fill : style.color;
  const [a, b] = [light(ink), light(getComputedStyle(document.body).backgroundColor)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A page of one run, one of three, and one of each whose texts are hostile."""
    folder = tmp_path_factory.mktemp("pages")
    one = with_curves(a_run(folder / "runs" / "one"))
    for i, act in enumerate(("elu", "relu")):
        result = a_result(
            overrides=[f"act={act}"], verdict="healthy", metrics={"val/acc": {"best": 0.9 + i / 100, "final": 0.9}}
        )
        with_curves(a_run(folder / "runs" / act, result))
    evil = a_run(
        folder / "evil", a_result(overrides=[EVIL], reason=EVIL, git=EVIL), hostile(), f"act: {json.dumps(EVIL)}\n"
    )
    with_curves(evil)
    failed = Record(evil, Result.from_json({"status": "failed", "reason": EVIL}), overrides=["act=none"])
    texts = {
        "run": run_page(read(one), with_remedy),
        "runs": runs_page(below(folder / "runs"), with_remedy),
        "evil-run": run_page(read(evil), with_remedy),
        "evil-runs": runs_page([read(evil), read(one)], with_remedy),
        "sweep": sweep_page(fold(a_sweep()), [("Every trial", PARALLEL)], small_multiples([("a", a_sweep())])),
        "cure": cure_page(FOUND, BEFORE, AFTER),
        "evil-sweep": sweep_page(fold([*a_sweep(), read(evil), failed])),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text)
    return {name: folder / f"{name}.html" for name in texts}


def hostile():
    """Vitals whose every text tries to get out."""
    finding = FINDING | {"evidence": EVIL, "cause": EVIL, "layer": EVIL}
    layers = [layer | {"name": EVIL, "kind": EVIL} for layer in some_vitals()["layers"]]
    return some_vitals(findings=[finding], remedies=[REMEDIES[0] | {"why": EVIL, "source": EVIL}], layers=layers)


@pytest.fixture(scope="module")
def visit(chromium, files):
    """Opens a page, once for each way to look at it: what a test changes it puts back.

    Its attribute `trouble` lists the page's requests and complaints.
    """
    opened = {}

    def go(name, width=1280, scheme="light"):
        if (name, width, scheme) not in opened:
            page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            opened[name, width, scheme] = watched(page)
            page.goto(files[name].as_uri())
            page.wait_for_selector("html[data-drawn]", state="attached", timeout=60_000)
        return opened[name, width, scheme]

    yield go
    for page in opened.values():
        page.close()


def watched(page):
    """The same page, with a list of its complaints and of whatever it asks the network for."""
    page.trouble = []

    def said(message):
        if message.type in ("error", "warning") and "WebGL" not in message.text:
            page.trouble.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith("file:") else page.trouble.append(request.url))
    return page


@pytest.mark.parametrize("name", ["run", "runs"])
def test_figures_are_drawn_and_nothing_is_fetched(visit, name):
    page = visit(name)
    assert page.trouble == []
    figures = page.locator("figure")
    assert figures.count() >= 5
    assert page.locator("figure .main-svg").count() >= figures.count()
    assert page.locator(".scatterlayer .trace").count() >= 8
    assert page.locator(".heatmaplayer .hm").count() == 1


def test_a_sweep_is_drawn_with_the_figures_of_others(visit):
    page = visit("sweep")
    assert page.trouble == []
    page.wait_for_function("() => document.querySelector('img.picture').naturalWidth > 100")
    assert page.locator(".gl-container canvas").count() >= 1
    assert page.locator("figure .main-svg").count() >= 4


def test_a_cure_is_drawn_before_and_after(visit):
    page = visit("cure")
    assert page.trouble == []
    assert page.locator("figure .main-svg").count() >= 4
    assert page.locator("figure", has_text="val/acc").locator(".scatterlayer .trace").count() == 2


@pytest.mark.parametrize("name", ["evil-run", "evil-runs", "evil-sweep"])
def test_what_the_data_says_does_not_run(visit, name):
    page = visit(name, width=400)
    assert page.trouble == []
    assert page.evaluate("document.body.dataset.hacked") is None
    assert page.locator("img").count() == 0
    kinds = page.evaluate("[...document.scripts].filter((s) => !s.type).length")
    assert kinds == 2  # the page's own and Plotly
    assert EVIL in page.locator("body").inner_text()


def test_a_click_in_the_legend_hides_a_line(visit):
    page = visit("run")
    figure = page.locator("figure").first
    assert figure.locator(".scatterlayer .trace").count() == 2
    for left in (1, 2):  # and shows it again
        figure.locator(".legendtoggle").first.click()
        count = "(left) => document.querySelector('figure').querySelectorAll('.scatterlayer .trace').length === left"
        page.wait_for_function(count, arg=left)


def test_hovering_shows_the_number(visit):
    page = visit("run")
    figure = page.locator("figure", has_text="dL/dh by layer and step")
    plot = figure.locator(".nsewdrag")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    for part in (0.4, 0.45):  # a pointer that moves
        page.mouse.move(box["x"] + part * box["width"], box["y"] + part * box["height"])
    figure.locator(".hoverlayer .hovertext").wait_for(state="attached")
    assert "layer 2, step 1‖dL/dh‖ = 10" in figure.locator(".hoverlayer").text_content()


def test_runs_are_chosen_by_search_and_by_box(visit):
    page = visit("runs")
    lines = page.locator("figure", has_text="Training loss").locator(".scatterlayer .trace")
    assert lines.count() == 3
    page.fill("#search", "act=elu")
    page.wait_for_function("() => document.getElementById('chosen').textContent.startsWith('1 of 3')")
    assert lines.count() == 1
    assert page.locator("tr:visible", has=page.locator("[data-run]")).count() == 1
    page.fill("#search", "")
    page.wait_for_function("() => document.getElementById('chosen').textContent.startsWith('3 of 3')")
    page.locator("[data-run]").first.uncheck()
    assert lines.count() == 2
    page.locator("[data-run]").first.check()


def test_another_run_is_selected_for_the_heat_map(visit):
    page = visit("runs")
    figure = page.locator("figure", has=page.locator("select"))
    figure.locator("select").select_option("2")
    drawn = page.evaluate("document.querySelector('select').parentNode.querySelector('.plot').data")
    assert [trace["meta"] for trace in drawn] == [{"choice": 2}]


def test_a_click_on_a_heading_sorts(visit):
    page = visit("runs")
    values = page.locator("td:nth-child(6)")
    before = values.all_inner_texts()[:3]
    page.get_by_role("button", name="val/acc, best").click()
    page.get_by_role("button", name="val/acc, best").click()
    assert values.all_inner_texts()[:3] == sorted(before, key=float)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["run", "runs"])
def test_everything_can_be_read_in_both_schemes(visit, scheme, name):
    page = visit(name, scheme=scheme)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert dark == (scheme == "dark")
    for words in (
        "h1",
        "p",
        ".muted, figcaption",
        "td",
        "th",
        "a",
        ".bad",
        ".good, .bad",
        ".xtick text",
        ".legendtext",
        ".ytitle",
    ):
        assert page.locator(words).first.evaluate(CONTRAST) >= 4.5, words


def test_figures_follow_when_the_scheme_changes(visit):
    page = visit("run")
    ink = "getComputedStyle(document.querySelector('.xtick text')).fill"
    before = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"(before) => {ink} !== before", arg=before)
    assert page.locator(".xtick text").first.evaluate(CONTRAST) >= 4.5
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"(before) => {ink} === before", arg=before)


@pytest.mark.parametrize("name", ["run", "runs"])
def test_it_prints_in_black_on_white_and_comes_back(visit, name):
    page = visit(name, scheme="dark")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".xtick text").first.evaluate("(tick) => getComputedStyle(tick).fill") == "rgb(26, 31, 38)"
    assert page.locator(".main-svg").first.evaluate("(svg) => svg.clientWidth") == 680
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".xtick text").first.evaluate("(tick) => getComputedStyle(tick).fill") == "rgb(231, 234, 238)"


@pytest.mark.parametrize("name", ["run", "runs", "sweep", "cure", "evil-run", "evil-runs", "evil-sweep"])
def test_a_telephone_scrolls_down_only(visit, name):
    page = visit(name, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_without_javascript_the_words_and_tables_are_there(chromium, files):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(files["run"].as_uri())
    assert "Figures are drawn by JavaScript" in page.locator("noscript").inner_text()
    assert "vanishing" in page.locator("h1").inner_text()
    assert page.locator("table").count() >= 3
    context.close()
