"""Parts of a page: what is escaped, what a table and a figure are made of, and what may run."""

import base64
import gzip
import hashlib
import json
import re

from gradvitals.report.pages.page import Html, details, document, facts, figure, library, picture, section, table, tag

EVIL = "</script><script>alert(1)</script>"
DRAWING = {"data": [{"x": [1], "y": [2], "name": EVIL}], "layout": {}}


def test_whatever_is_text_is_escaped():
    parts = [
        tag("p", EVIL, title=EVIL),
        table([EVIL], [[EVIL]], caption=EVIL),
        facts([(EVIL, EVIL, EVIL)]),
        details(EVIL, EVIL),
        figure(DRAWING, EVIL, EVIL, [EVIL, EVIL]),
    ]
    page = document(EVIL, parts, [section(EVIL, *parts)])
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert '"<' not in page.replace('"<svg', "")


def test_no_number_of_a_figure_ends_its_element():
    written = figure(DRAWING, "")
    inner = re.search(r'<script type="application/json">(.*?)</script>', written)[1]
    assert json.loads(inner) == DRAWING


def test_only_two_scripts_are_admitted_and_nothing_is_fetched():
    page = document("a", [], [section("b", figure(DRAWING, "c"))])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' {library().digest};" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r'(src|href)="(?!#)', page)


def test_the_library_is_what_plotly_ships():
    source = gzip.decompress(base64.b64decode(library().packed))
    assert source.lstrip().startswith(b"/**\n* plotly.js v")
    assert library() is library()  # packed once in a process


def test_a_page_without_figures_goes_without_the_library():
    assert len(document("a", [], [section("b")])) < 40_000


def test_columns_of_numbers_stand_to_the_right_and_sort_by_value():
    made = table(["name", "loss"], [["a", None], ["b", 1234567.0]], sortable=True)
    assert '<th scope="col"><button type="button">name</button></th>' in made
    assert '<td class="number">-</td>' in made
    assert '<td class="number" data-value="1234567.0">1,234,567</td>' in made
    assert 'class="scroll tall"' in table(["a"], [[i] for i in range(100)])


def test_numbers_as_people_read_them():
    shown = re.findall("<td.*?>(.*?)</td>", table(["a"], [[v] for v in (0, 1e-12, float("nan"), True, "x", 0.1)]))
    assert shown == ["0", "1e-12", "-", "True", "x", "0.1"]


def test_a_picture_is_part_of_the_page():
    made = picture(b"\x89PNG...", EVIL)
    assert base64.b64decode(re.search('src="data:image/png;base64,([^"]*)"', made)[1]) == b"\x89PNG..."
    assert "<script>" not in made


def test_links_lead_to_sections():
    page = document("a", [], [section("What & why"), section("Curves")])
    assert '<a href="#what-&amp;-why">What &amp; why</a>' in page
    assert '<section id="what-&amp;-why">' in page


def test_without_javascript_a_page_says_so():
    assert "<noscript>" in document("a", [], [])
    assert isinstance(section("a"), Html)
