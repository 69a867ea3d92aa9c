"""The page as a browser opens it: no error, a slider that counts, hover, both themes."""

import shutil

import pytest

from fedad.compare.cells import cells_of
from fedad.compare.plan import FEDERATED
from fedad.reporting.report import report
from tests.compare.test_report import COMPARISON, DETAIL

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install 'fedad[page]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt install it")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(compared, tmp_path_factory):
    return report(compared, tmp_path_factory.mktemp("page") / "page.html").as_uri()


@pytest.fixture
def opened(browser, address):
    """The page, which in the whole test complains of nothing and asks for nothing."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, color_scheme="light")
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert [one for one in said if not one.startswith(("file:", "data:"))] == []


def test_every_section_is_there(opened):
    page = opened
    for name in (*COMPARISON, *DETAIL):
        assert page.locator(f"section#{name}").is_visible(), name
        assert page.locator(f"nav a[href='#{name}']").count() == 1
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 1200  # tables scroll by themselves


def test_the_slider_moves_the_numbers(opened):
    page = opened
    box = page.locator(".scores").first
    rejects, escapes = box.locator(".rejects"), box.locator(".escapes")
    calibrated = rejects.inner_text(), escapes.inner_text(), box.locator(".value").inner_text()
    slider = box.locator("input[type=range]")
    line = box.locator(".threshold").get_attribute("points")
    slider.fill("0")
    assert rejects.inner_text().startswith("6 of 6 (100.0 %; 95 %: 54.1 % to 100.0 %)")
    assert escapes.inner_text().startswith("0 of 6 (0.0 %")
    assert box.locator(".threshold").get_attribute("points") != line
    slider.fill("1000")
    assert rejects.inner_text().startswith("0 of 6 (0.0 %")
    assert escapes.inner_text().startswith("6 of 6 (100.0 %")
    box.locator("button").click()
    assert (rejects.inner_text(), escapes.inner_text()) == calibrated[:2]
    assert box.locator(".value").inner_text() == calibrated[2]


def test_another_site_has_its_own_scores_and_bars(opened):
    page = opened
    box = page.locator(".scores").first
    bars = "bars => bars.map(bar => bar.getAttribute('height'))"
    before = box.locator(".good").evaluate_all(bars)
    box.locator("select").select_option("lyon")
    assert " of 2 " in box.locator(".rejects").inner_text()
    assert box.locator(".good").evaluate_all(bars) != before


def test_without_a_calibrated_threshold_nothing_is_claimed_until_the_slider_moves(
    browser, compared, small, tmp_path
):
    """A server's page: it knows no site's threshold."""
    run = cells_of(small)["float32", 0, FEDERATED].folder(compared)
    (tmp_path / "record.json").write_bytes((run / "record.json").read_bytes())
    shutil.copytree(run / "curves", tmp_path / "curves")
    page = browser.new_page()
    page.goto(report(tmp_path).as_uri())
    box = page.locator(".scores").first
    line, button = box.locator(".threshold"), box.locator("button")
    assert button.is_hidden()
    assert line.get_attribute("display") == "none"
    assert box.locator(".rejects").inner_text() == "move the slider"
    box.locator("input[type=range]").fill("0")
    assert line.get_attribute("display") == "inline"
    assert box.locator(".rejects").inner_text().startswith("6 of 6")


def test_hover_and_focus_show_the_command_and_a_click_copies_it(opened):
    page = opened
    point, tip = page.locator("#pareto circle[data-command]").first, page.locator("#tip")
    assert tip.is_hidden()
    point.hover()
    assert tip.is_visible()
    assert "flwr run . --stream" in tip.inner_text()
    assert "MB moved" not in tip.inner_text()
    point.click()
    assert "copied" in tip.inner_text()
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    point.blur()
    point.focus()
    assert tip.is_visible()


def test_both_themes_are_legible(opened):
    """Ink on paper in each, told apart as WCAG asks of text (4.5 to 1)."""
    page = opened
    contrasts = []
    for _theme in range(2):
        ink, paper = (
            page.evaluate(f"getComputedStyle(document.body).{name}")
            for name in ("color", "backgroundColor")
        )
        light, dark = sorted((_luminance(ink), _luminance(paper)), reverse=True)
        contrasts.append(((light + 0.05) / (dark + 0.05), _luminance(paper) > 0.5))
        page.locator("#theme").click()
    assert [bright for _, bright in contrasts] == [True, False]
    assert all(contrast > 4.5 for contrast, _ in contrasts)


def _luminance(colour: str) -> float:
    """Of `rgb(r, g, b)`, by WCAG's definition."""
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_paper_has_everything_open(opened):
    page = opened
    closed = page.locator("details:not([open])").count()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert closed > 0
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator("nav").is_visible()
