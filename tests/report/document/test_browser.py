"""The page in a real browser: drawn, filtered, silent, safe, and usable by everybody."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files

import pytest

from lenet.cases.baseline import DEFAULT
from lenet.cases.case import Mode
from lenet.report.charts.points import datasets
from lenet.report.content.gather import gather
from lenet.report.document.html import page
from lenet.report.document.html.page import embedded, packed
from lenet.report.table.column import Line
from lenet.report.table.columns import for_page
from lenet.report.table.speed_ups import speed_ups
from lenet.store.record import Status

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = {
    "script": "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>",
    "end": "</script><script>window.hacked = 1</script><!-- <script>",
    "direction": "\u202egpj.exe\u2066",
    "long": "x" * 10_000,
    "vega": "datum.hacked = 1; {expr: 'hacked'}",
}
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def browser():
    playwright_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not here")
    if CHROMIUM is None:
        pytest.skip("no Chromium is here: apt-get install chromium")
    with playwright_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory, measured, trained, reference, write_run):
    folder = tmp_path_factory.mktemp("page")
    records = [
        *(measured((900 * b, 1000 * b, 1100 * b), epochs=2, correct=97, batch_size=32 * b) for b in (1, 2)),
        *(measured((90 * b, 100 * b, 110 * b), mode=Mode.PYNATIVE, batch_size=32 * b) for b in (1, 2)),
        measured((4000, 5000), profile="tuned", epochs=2, correct=98),
        measured((9000,), mode=Mode.JIT, status=Status.DIVERGED, reason="the loss of step 9 is nan"),
    ]
    write_run(folder / "runs" / "good", records, losses=[2.3 - i / 100 for i in range(200)])
    bad = [
        measured((50 + i, 60 + i), mode=Mode.JIT, batch_size=128 + i, status=status, reason=text, version=text)
        for i, text in enumerate(HOSTILE.values())
        for status in [Status.OK if i % 2 else Status.CRASHED]
    ]
    write_run(folder / "runs" / HOSTILE["direction"], bad, cpu=HOSTILE["script"])
    target = folder / "report.html"
    target.write_text(page(gather([folder / "runs"], [reference])), encoding="utf-8")
    return target


@pytest.fixture
def tab(browser, path):
    """The page, opened; whatever it says, asks for or breaks fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    noise = []
    opened.on("console", lambda message: noise.append(f"console: {message.text}"))
    opened.on("pageerror", lambda error: noise.append(f"error: {error}"))
    opened.on("request", lambda request: noise.append(f"request: {request.url[:90]}"))
    opened.goto(path.as_uri())
    opened.wait_for_selector("body[data-ready]", timeout=120_000)
    assert noise == [f"request: {path.as_uri()[:90]}"]
    yield opened
    own = [each for each in noise[1:] if not each.startswith("request: data:")]
    context.close()
    assert own == []


def rows_of(tab):
    return tab.locator("#table tbody tr")


def redrawn(tab, count):
    tab.wait_for_selector(f"body[data-drawn='{count}']", timeout=60_000)


def test_every_chart_is_drawn(tab):
    charts = json.loads(tab.locator("#data").text_content())["charts"]
    closed = tab.locator("#more-charts [data-chart] svg")
    assert tab.locator("[data-chart]:visible").count() == 3, "what answers no question is folded away"
    assert closed.count() == 0
    tab.locator("#more-charts > summary").click()
    closed.nth(len(charts) - 4).wait_for()
    drawn = {chart["id"]: tab.locator(f"[data-chart={chart['id']}] svg").count() for chart in charts}
    assert set(drawn) >= {"throughput", "profiles", "phases", "accuracy", "losses"}
    assert all(drawn.values()), drawn
    marks = tab.locator("[data-chart=throughput] svg .mark-symbol path").count()
    assert marks >= 5
    assert (
        tab.locator("h1")
        .text_content()
        .startswith("Fastest: Graph (functional step) on CPU at batch 32 with the profile tuned, 2 epochs, 4,500")
    )


def test_the_matrix_is_coloured_by_speed(tab):
    shares = "(cells) => cells.map((each) => Number(each.style.getPropertyValue('--share')))"
    grounds = "(cells) => cells.map((each) => getComputedStyle(each).backgroundColor)"
    cells = tab.locator("#speeds .heat")
    found = cells.evaluate_all(shares)
    assert (min(found), max(found)) == (0, 1)
    colours = dict(zip(found, cells.evaluate_all(grounds), strict=True))
    assert len(set(colours.values())) == len(colours) >= 4
    assert "*" in cells.nth(found.index(1)).text_content()


def test_labels_name_what_differs_in_what_is_shown(tab):
    labels = "[...document.querySelectorAll('[data-chart=accuracy] figcaption')].map((each) => each.textContent)"
    lines = "document.querySelector('[data-chart=profiles] svg').textContent"
    assert tab.evaluate(labels) == ["batch 32", "batch 64"]
    assert "graph · batch 32" not in tab.evaluate(lines), "it has one case"
    titles = "[...document.querySelectorAll('[data-chart=throughput] figcaption')].map((each) => each.textContent)"
    assert tab.evaluate(titles) == ["2 epochs"], "the other panel is of trainings without a word for it"
    tab.get_by_role("checkbox", name="PyNative").uncheck()
    redrawn(tab, 9)
    assert tab.evaluate(titles) == [], "a panel beside no other needs no title"


def test_filters_sorting_and_search(tab):
    assert rows_of(tab).count() == 11
    tab.get_by_role("checkbox", name="PyNative").uncheck()
    redrawn(tab, 9)
    assert "9 of 11 records are shown" in tab.locator("#count").text_content()
    assert rows_of(tab).filter(has_text="PyNative").count() == 0
    assert tab.locator("[data-chart=throughput] svg").first.text_content().count("PyNative") <= 1  # the legend alone
    tab.get_by_role("button", name="Show all").click()
    redrawn(tab, 11)
    tab.locator("input[type=search]").fill("diverged")
    redrawn(tab, 1)
    assert rows_of(tab).count() == 1
    assert rows_of(tab).locator("s").text_content() == "9,000"  # not valid: struck through
    tab.locator("input[type=search]").fill("no such word anywhere")
    redrawn(tab, 0)
    assert "Nothing to draw" in tab.locator("[data-chart=throughput]").text_content()
    tab.get_by_role("button", name="Show all").click()
    redrawn(tab, 11)
    speeds = tab.get_by_role("button", name="images/s", exact=True)
    speeds.click()
    assert tab.locator("th[aria-sort=descending]").text_content() == "images/s"
    assert "9,000" in rows_of(tab).first.text_content()
    speeds.click()
    assert tab.locator("th[aria-sort=ascending]").text_content() == "images/s"
    index = tab.locator("#table thead th").all_text_contents().index("images/s")
    shown = rows_of(tab).locator(f"td:nth-child({index + 1})").all_text_contents()
    figures = [float(text.replace(",", "")) for text in shown if text[:1].isdigit()]
    assert len(figures) >= 9
    assert figures == sorted(figures)


def test_the_page_writes_a_figure_as_a_table_does(browser, tmp_path, measured, write_run):
    """Script and tables have one list of columns; here each record is its own group, so that their cells compare."""
    runaway = measured((700.0, 800.0), epochs=1, batch_size=64)
    (judged,) = runaway.evaluations
    runaway = runaway.model_copy(update={"evaluations": (judged.model_copy(update={"training_loss": 9.5}),)})
    records = [
        measured((900, 1000, 123456), epochs=2, correct=97),
        measured((900.5, 1000.25), batch_size=2048),
        measured((40,), mode=Mode.PYNATIVE, batch_size=2048),
        measured((), mode=Mode.JIT, status=Status.CRASHED, reason="why"),
        measured((1.23e13, 4.5e15), batch_size=4096, epochs=10),
        runaway,
    ]
    write_run(tmp_path / "run", records)
    report = gather([tmp_path / "run"])
    (tmp_path / "page.html").write_text(page(report), encoding="utf-8")
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    tab.wait_for_selector("#table tbody tr")
    filters = {each.locator("legend").text_content(): each for each in tab.locator("fieldset").all()}
    assert filters["epochs"].locator("label").all_text_contents() == ["1", "2", "10", "none"]
    assert filters["batch"].locator("label").all_text_contents() == ["32", "64", "2048", "4096"]
    titles = tab.locator("#table thead th").all_text_contents()
    shown = [line.locator("td").all_text_contents() for line in rows_of(tab).all()]
    struck, status = tab.locator("#table s").all_text_contents(), tab.locator("#table .status.bad").all_text_contents()
    tab.close()
    assert struck == ["750"], "a training that failed the convergence check ended well, and is struck out as in a table"
    assert sorted(status) == ["crashed", "diverged"]
    columns = for_page(json_rows(report), DEFAULT)
    assert titles == [column.heading or column.title for column in columns]
    lines = [
        Line(group, ratio, None) for group, ratio in zip(report.groups, speed_ups(report.groups, None), strict=True)
    ]
    compared = (
        "batch_size",
        "epochs",
        "images_per_second",
        "spread",
        "speed_up",
        "accuracy",
        "final_loss",
        "compile_seconds",
        "peak_memory_bytes",
    )
    for name in compared:
        place = next(index for index, column in enumerate(columns) if column.name == name)
        assert [cells[place] for cells in shown] == [columns[place].text(line) for line in lines], name


def json_rows(report):
    """The page's rows with a ratio each."""
    points = datasets(report)["rows"]
    return [{**point, "speed_up": 1.0, "speed_up_unit": "windows"} for point in points]


def test_a_record_has_an_address_with_its_raw_figures(tab):
    link = rows_of(tab).filter(has_text="diverged").get_by_role("link")
    address = link.get_attribute("href")
    link.click()
    body = tab.locator("#record-body")
    body.wait_for()
    assert tab.evaluate("location.hash") == address
    assert "the loss of step 9 is nan" in body.text_content()
    assert "9000" in body.text_content()
    assert "images per second" in body.text_content()
    tab.get_by_role("link", name="Back to all records").click()
    tab.wait_for_selector("#record", state="hidden")
    tab.evaluate("location.hash = '#record/%E0%A4%A/none'")  # no address at all
    assert tab.locator("#record").is_hidden()


def test_hostile_text_is_shown_as_text(tab):
    assert tab.evaluate("window.hacked") is None
    shown = rows_of(tab).filter(has_text="<script>window.hacked")
    assert shown.count() >= 2
    assert tab.locator("main script, main img, main iframe").count() == 0
    for text in HOSTILE.values():
        assert text in tab.locator("#table").text_content()
    width = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0
    policy = tab.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_light_and_dark(tab):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(ground)
    tab.emulate_media(color_scheme="dark")
    dark = tab.evaluate(ground)
    assert light != dark
    tab.emulate_media(media="print", color_scheme="dark")
    assert tab.evaluate(ground) == "rgb(255, 255, 255)"


def test_a_printed_page_fits_and_has_what_a_reader_needs(tab):
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 700, "height": 1000})  # A4 without its margins
    assert tab.evaluate("document.documentElement.scrollWidth") <= 700
    hidden = "(parts) => parts.filter((part) => getComputedStyle(part).display !== 'none').length"
    for name in ("#filters", "#more-charts", "#table .detail", ".top"):
        parts = tab.locator(name)
        assert parts.count() > 0, name
        assert parts.evaluate_all(hidden) == 0, name
    assert not tab.locator("#records").is_visible(), "the columns of several runs have no room on paper"
    cards = tab.locator("#machines dl.card").evaluate_all("(cards) => cards.map((card) => card.offsetHeight)")
    assert all(height > 50 for height in cards), "a machine's card is folded away on the screen alone"
    wide = "(plots) => plots.filter((plot) => plot.getBoundingClientRect().right > 700).length"
    assert tab.locator(".plot svg").evaluate_all(wide) == 0


def test_a_phone_never_scrolls_sideways(browser, path):
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    tab = context.new_page()
    tab.goto(path.as_uri())
    tab.wait_for_selector("body[data-ready]", timeout=120_000)
    width = "document.documentElement.scrollWidth"
    assert tab.evaluate(width) <= 360
    # The fastest case names the headline, and a profile's name is one word.
    tab.evaluate("document.querySelector('h1').append('onednn_isa=avx2+launch_blocking+operator_threads=16')")
    assert tab.evaluate(width) <= 360
    wide = tab.evaluate(
        "[...document.querySelectorAll('.plot svg')].filter((s) => s.getBoundingClientRect().width > 361).length"
    )
    assert wide == 0
    context.close()


def test_the_keyboard_reaches_filters_and_headings(tab):
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the figures"
    tab.keyboard.press("Enter")
    for _ in range(12):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.type") == "checkbox":
            break
    assert tab.evaluate("document.activeElement.type") == "checkbox"
    tab.keyboard.press("Space")
    tab.wait_for_selector("body:not([data-drawn='11'])", timeout=60_000)
    tab.get_by_role("button", name="batch", exact=True).focus()
    tab.keyboard.press("Enter")
    assert tab.locator("th[aria-sort=descending]").text_content() == "batch"
    assert tab.evaluate("document.activeElement.textContent") == "batch"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser, path, scheme):
    pytest.importorskip("axe_playwright_python", reason="axe is not here")
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme, bypass_csp=True)
    tab = context.new_page()
    tab.goto(path.as_uri())
    tab.wait_for_selector("body[data-ready]", timeout=120_000)
    tab.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run()")["violations"]
    context.close()
    serious = [
        (each["id"], each["nodes"][0]["html"][:200]) for each in found if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_the_size_of_a_page_grows_with_that_of_a_record(path, tmp_path, measured, write_run):
    """10,000 records must weigh less than 10 MB: the library, and at most 900 bytes a record with ten windows."""
    records = [measured([100.0 + i / 7 for i in range(10)], batch_size=1 + size) for size in range(200)]
    write_run(tmp_path / "few", records[:100])
    write_run(tmp_path / "many", records)
    few, many = (len(page(gather([tmp_path / name])).encode()) for name in ("few", "many"))
    each = (many - few) / 100
    assert few - 100 * each < 1_100_000
    assert each < 890


def test_no_text_ends_the_element_that_holds_the_data():
    text = embedded([HOSTILE, "<!--", "\u2028"])
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == [HOSTILE, "<!--", "\u2028"]


def test_packed_columns_hold_every_value():
    assert packed([]) == {}
    assert packed([{"a": None, "b": 0.12345678}, {"a": "x", "b": 1}]) == {"a": [None, "x"], "b": [0.123457, 1]}
