"""The page of a report in a browser: what it draws, how it answers, and that everyone can use it."""

import re
import shutil
from urllib.parse import urlsplit

import pytest

from bench.page import writing
from bench.page.sources import Sources
from tests import page_documents as documents

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WIDTHS = (360, 1400)
THEMES = ("light", "dark")
MOST_MILLISECONDS = 60_000
"""A busy machine takes long."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """The addresses of a page of made-up documents, and of one with hostile text."""
    folder = tmp_path_factory.mktemp("report")
    pages = {
        "usual": writing.page(documents.sources(), documents.history()),
        "hostile": writing.page(Sources(run=documents.hostile_run())),
    }
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in pages}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, addresses):
    """A function that opens the page; at the end, nothing may have been logged or fetched from elsewhere."""
    contexts, problems = [], []

    def opened(width=1400, theme="light", name="usual"):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(MOST_MILLISECONDS)
        page.on("console", lambda message: problems.append(message.text))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if is_elsewhere(request.url) else None)
        page.goto(addresses[name])
        page.wait_for_selector("html[data-ready=true]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def is_elsewhere(url):
    return urlsplit(url).scheme not in ("file", "data")


def answer(page):
    return page.locator("#answer").inner_text()


def luminance(page, name):
    colour = page.evaluate(f"getComputedStyle(document.body).{name}")
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("width", WIDTHS)
def test_every_chart_is_drawn_within_the_width(open_page, width):
    page = open_page(width)
    for place in page.locator(".chart").all():
        name = place.get_attribute("id")
        assert page.locator(f"#{name} svg .mark-rect path, #{name} svg .mark-symbol path").count() >= 2, name
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_answer_follows_the_network_the_calls_and_the_cache(open_page):
    page = open_page()
    page.fill("#use-calls", "100000")
    # 100,000 calls of 8 µs take 0.8 s; numba_simd would first compile for 4 s.
    assert answer(page) == "python_loops takes 800 ms for 100,000 calls."
    page.check("#use-cached")
    assert answer(page).startswith("numba_simd takes 640 ms for 100,000 calls, of which 500 ms are for loading")
    page.select_option("#use-network", "100-100-50-10")
    page.uncheck("#use-cached")
    assert answer(page) == "numpy_vectorized takes 5 s for 100,000 calls."
    mark = page.locator("#gains svg line[stroke-dasharray]")
    before = mark.get_attribute("transform")
    page.fill("#use-calls", "1000000")
    playwright.expect(mark).not_to_have_attribute("transform", before)
    assert answer(page).startswith("numba_simd takes 19 s for 1,000,000 calls, of which 4 s are for compiling")
    names = page.locator("#ranking tbody th").all_inner_texts()
    assert names[0] == "numba_simd"
    assert names[-1] == "python_loops"


def test_the_pickers_of_all_sections_show_the_same_case(open_page):
    page = open_page()
    page.select_option("#accuracy-network", "100-100-50-10")
    assert page.input_value("#use-network") == "100-100-50-10"
    playwright.expect(page.locator("#speeds svg text", has_text="267 [")).to_have_count(1)


def test_the_batch_that_does_not_go_with_an_operation_is_replaced(open_page):
    page = open_page()
    page.select_option("#use-operation", "gradient")
    assert page.input_value("#use-batch") == "64"
    assert page.locator("#use-batch option").all_inner_texts() == ["64"]


def test_the_growth_follows_the_dimension_and_the_highlight(open_page):
    page = open_page()
    accent = "#growth-times svg text[fill='var(--accent)']"
    assert page.locator(accent).all_text_contents() == ["numba_simd"]
    page.select_option("#growth-highlight", "numpy_plain")
    playwright.expect(page.locator(accent)).to_have_text("numpy_plain")
    page.select_option("#growth-dimension", "depth")
    assert page.locator("#growth-times svg .mark-symbol path").count() == 12


def test_the_history_follows_the_highlight(open_page):
    page = open_page()
    accent = "#history-speedups svg text[fill='var(--accent)']"
    assert page.locator(accent).all_text_contents() == ["numba_simd"]
    page.select_option("#history-highlight", "numpy_plain")
    playwright.expect(page.locator(accent)).to_have_text("numpy_plain")


def test_the_table_is_sorted_filtered_and_copied(open_page):
    page = open_page()
    rows = page.locator("#times tbody tr:visible")
    assert rows.count() == len(documents.SECONDS)
    heading = page.locator("#times thead th", has_text="time")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert rows.locator("th").all_inner_texts() == ["numba_simd", "python_loops", "numpy_vectorized", "numpy_plain"]
    heading.locator("button").click()
    assert rows.locator("th").first.inner_text() == "numpy_plain"
    page.click("[data-copy=markdown]")
    playwright.expect(page.locator("#copied")).to_have_text("Copied 4 rows.")
    first, line, second, *_ = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert first.startswith("| case | backend | time | speedup |")
    assert set(line) <= set("|- ")
    assert r"| numpy\_plain | 20.0 µs | 0.400 \[0.392, 0.408\] |" in second
    page.select_option("#shown-case", "")
    assert rows.count() == len(documents.run().rows) * len(documents.SECONDS) // (len(documents.SECONDS) + 1)
    page.click("[data-copy=csv]")
    playwright.expect(page.locator("#copied")).to_have_text("Copied 24 rows.")
    assert '"numba_simd"' in page.evaluate("navigator.clipboard.readText()")


def test_a_point_shows_its_interval(open_page):
    page = open_page()
    page.locator("#speedups-1 svg .mark-rect path").last.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "5.71 [5.60, 5.83]" in page.locator("#vg-tooltip-element").inner_text()


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_text_is_shown_and_not_run(open_page, width):
    page = open_page(width, name="hostile")
    assert page.locator("#answer").inner_text().startswith("</script><script>alert(1)</script><img")
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("theme", THEMES)
def test_the_page_follows_the_theme_of_the_system_and_the_button(open_page, theme):
    page = open_page(theme=theme)
    assert (luminance(page, "backgroundColor") > luminance(page, "color")) is (theme == "light")
    page.click("#theme")
    assert (luminance(page, "backgroundColor") > luminance(page, "color")) is (theme == "dark")
    assert page.locator("#theme").inner_text() == theme.capitalize()


def test_the_keyboard_alone_reaches_and_changes_the_controls(open_page):
    page = open_page()
    reached = []
    for _ in range(80):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.id || document.activeElement.dataset.copy || ''")
        if name in reached:
            continue
        reached.append(name)
        match name:
            case "theme":
                page.keyboard.press("Enter")
            case "use-network":
                page.keyboard.press("ArrowDown")
            case "use-calls":
                page.keyboard.press("ArrowUp")
            case "use-cached":
                page.keyboard.press("Space")
    controls = page.eval_on_selector_all(
        "select, input, [data-copy]", "all => all.map(one => one.id || one.dataset.copy)"
    )
    assert set(controls) <= set(reached)
    assert page.input_value("#use-network") == "100-100-50-10"
    assert page.input_value("#use-calls") == "10001"
    assert page.is_checked("#use-cached")
    assert luminance(page, "backgroundColor") < luminance(page, "color")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious(open_page, width, theme):
    page = open_page(width, theme)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    violations = axe.Axe().run(page).response["violations"]
    serious = [rule for rule in violations if rule["impact"] in ("serious", "critical")]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in serious] == []
