"""The page as a browser opens it, before a server that judges: from a part to the way back."""

import json
import shutil
import threading
import time
from contextlib import contextmanager

import pytest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install 'fedad[page]'"
)
uvicorn = pytest.importorskip("uvicorn")

from fedad.serving.access import Access  # noqa: E402
from fedad.serving.app import app_of  # noqa: E402
from tests.compare.test_page import _luminance  # noqa: E402
from tests.drift.lines import from_day, rows  # noqa: E402
from tests.serving.conftest import copied, pictures, serving  # noqa: E402
from tests.serving.test_drifting import keep  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt install it")
TOKEN = "a-token-of-a-test"
REFUSED = "Failed to load resource: the server responded with a status of 400"  # a torn picture


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def listening(models, access=None):
    """A server of these models on a free port; yields its address and what it is made of."""
    with serving(models, access) as line:
        config = uvicorn.Config(
            app_of(line.serving, line.lines.append),
            port=0,
            lifespan="off",
            log_config=None,
            ws="none",
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/", line
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def site(models, tmp_path_factory):
    """A server of models that this file may change."""
    folder = copied(models, tmp_path_factory.mktemp("page") / "models")
    keep(folder, rows(change=from_day(25, every=(1, 0.93, 1))))
    with listening(folder) as (address, line):
        yield address, line


@pytest.fixture
def page(browser, site):
    """The page, which in the whole test complains of nothing and asks nobody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page, said = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    page.goto(site[0])
    page.wait_for_selector("#readiness[data-kind=ready]")
    yield page
    context.close()
    assert [one for one in said if not one.startswith((site[0], "blob:", REFUSED))] == []


def judge(page, path, product="bolt"):
    """Hand a picture to the page as a person does, and wait for its verdict."""
    page.select_option("#product", product)
    page.set_input_files("#files", path)
    page.wait_for_selector(f"#shown-name:text-is('{path.name}')")
    page.wait_for_selector("#progress", state="hidden")
    return page.inner_text("#verdict-word")


def test_a_defective_part_gets_its_verdict_and_all_that_it_rests_on(page, plants):
    path = pictures(plants, "blot")[0]
    assert judge(page, path) == "NOK"
    assert page.title().startswith("NOK")
    assert "is above the limit" in page.inner_text("#shown-reason")
    assert page.inner_text("#shown-usual") == "None of 6 good parts scored as high"
    assert "NOK" in page.inner_text("#announced")
    for image in ("#shown-picture", "#shown-heat", "#odd", "#alike"):
        page.wait_for_selector(f"{image}[src]")
        assert page.locator(image).evaluate("one => one.decode().then(() => one.naturalWidth)") > 8
    assert page.is_visible("#frame")
    frame, stage = (page.locator(one).bounding_box() for one in ("#frame", "#stage"))
    assert stage["x"] <= frame["x"] + 3
    assert frame["x"] + frame["width"] <= stage["x"] + stage["width"] + 3
    assert "comes from" in page.inner_text("#why-words")
    drawing = page.locator("#histogram")
    assert drawing.locator("rect.good").count() == 6 + 1  # and the legend's
    assert drawing.locator(".upright").count() == 2
    assert "this part" in drawing.inner_text()
    assert "limit" in page.inner_text("#bar")
    strip = page.locator("#strip li").first
    assert strip.get_attribute("class").startswith("nok")
    assert strip.locator("[aria-current]").count() == 1


def test_the_heat_comes_and_goes(page, plants):
    judge(page, pictures(plants, "blot")[1])
    opacity = "one => getComputedStyle(one).opacity"
    assert page.locator("#shown-heat").evaluate(opacity) == "0.55"
    page.fill("#opacity", "20")
    assert page.locator("#shown-heat").evaluate(opacity) == "0.2"
    page.locator("#main").focus()
    page.keyboard.press("h")
    assert page.locator("#shown-heat").evaluate(opacity) == "0"
    wide = page.locator("#stage").bounding_box()["width"]
    page.keyboard.press("+")
    assert page.locator("#stage").bounding_box()["width"] == pytest.approx(1.5 * wide, abs=2)


def test_a_good_part_and_no_picture_by_the_keyboard_alone(page, plants, tmp_path):
    assert judge(page, pictures(plants, "good")[0]) == "OK"
    assert page.is_disabled("[data-operator=false_alarm]")
    page.locator("#main").focus()
    page.keyboard.press("r")
    page.wait_for_selector("[data-operator=right][aria-pressed=true]")
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    page.keyboard.press("j")  # the part before it
    assert page.locator("#strip [aria-current]").count() == 1
    assert page.locator("#strip li").first.locator("[aria-current]").count() == 0
    page.keyboard.press("2")
    assert page.is_visible("#view-threshold")
    page.keyboard.press("1")
    page.keyboard.press("Tab")
    shown = "document.activeElement.matches(':focus-visible')"
    assert page.evaluate(f"() => {shown}")


def test_an_operator_is_logged(page, site, plants):
    path = pictures(plants, "blot")[2]
    judge(page, path)
    page.locator("#main").focus()
    page.keyboard.press("f")
    page.wait_for_selector("[data-operator=false_alarm][aria-pressed=true]")
    log = (site[1].serving.served.models / "verdicts.jsonl").read_text().splitlines()
    last = json.loads(log[-1])
    assert (last["operator"], last["name"], last["verdict"]) == ("false_alarm", path.name, "NOK")


def test_names_are_text_whatever_they_are(page, plants, tmp_path):
    nasty = tmp_path / "<img src=x onerror=alert(1)>.png"
    shutil.copy(pictures(plants, "good")[1], nasty)
    assert judge(page, nasty) == "OK"
    assert page.locator("#record img[src=x], #strip img[src=x]").count() == 0
    assert nasty.name in page.locator("#strip button").first.get_attribute("aria-label")


FILE = """([name, bytes]) => { const held = new DataTransfer();
  held.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" })); return held; }"""


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted_anywhere(page, plants, way):
    path = pictures(plants, "blot")[3]
    held = page.evaluate_handle(FILE, [f"{way}.png", [*path.read_bytes()]])
    if way == "drop":
        for event in ("dragenter", "dragover"):
            page.dispatch_event("main", event, {"dataTransfer": held})
        assert page.is_visible("#dropping")
        page.dispatch_event("main", "drop", {"dataTransfer": held})
    else:
        page.evaluate(
            "held => dispatchEvent(new ClipboardEvent('paste', { clipboardData: held }))", held
        )
    page.wait_for_selector(f"#shown-name:text-is('{way}.png')")
    assert page.is_hidden("#dropping")
    assert page.inner_text("#verdict-word") == "NOK"


def test_a_folder_is_judged_one_after_the_other(page, plants, tmp_path):
    folder = tmp_path / "shift"
    folder.mkdir()
    for path in (*pictures(plants, "good")[:2], *pictures(plants, "blot")[:2]):
        shutil.copy(path, folder / f"={path.parent.name}_{path.name}")
    (folder / "torn.png").write_bytes(b"torn")
    (folder / "notes.txt").write_text("not a picture, and not judged")
    page.select_option("#product", "bolt")
    page.set_input_files("#folder", folder)
    page.wait_for_selector("#judged h2:text-is('5 pictures judged')")
    assert page.locator("#judged .counts li").all_inner_texts() == [
        "2 OK",
        "2 NOK",
        "1 UNREADABLE",
    ]
    with page.expect_download() as kept:
        page.click("#judged button:text-is('Save as CSV')")
    rows = kept.value.path().read_text().splitlines()
    assert len(rows) == 6
    assert sum(row.startswith("'=") for row in rows) == 4  # no name becomes a formula


def test_a_threshold_is_set_and_taken_back(page, site):
    page.goto(f"{site[0]}#threshold")
    page.select_option("#threshold-product", "bolt")
    assert "takes 99 good parts" in page.inner_text(".choice[data-rate='0.01']")
    page.click(".choice[data-rate='0.1']")
    page.wait_for_selector("#preview:has-text('10% takes 9 good parts; there are 6')")
    assert page.is_disabled("#apply")
    page.fill("#free-rate", "40")
    page.keyboard.press("Enter")
    page.wait_for_selector("#preview table")
    assert "40%" in page.inner_text("#preview")
    before = page.inner_text("#model-short")
    page.click("#apply")
    page.click("#ask button[value=no]")
    assert page.is_hidden("#applied")
    page.click("#apply")
    page.click("#ask-yes")
    page.wait_for_selector("#applied:has-text('judges from now on')")
    page.wait_for_selector(f"#model-short:not(:text-is('{before}'))")
    page.goto(f"{site[0]}#models")
    page.click("#rollback")
    page.click("#ask-yes")
    page.wait_for_selector(f"#model-short:text-is('{before}')")


def test_a_product_is_taught(page, site, unlike):
    page.goto(f"{site[0]}#teach")
    good = sorted((unlike / "disc" / "train" / "good").iterdir())
    page.set_input_files("#teach-files", good[:1])
    assert "Name the product first" in page.inner_text("#teach-wrong")
    page.fill("#teach-name", "disc")
    page.select_option("#teach-rate", "0.2")
    page.set_input_files("#teach-files", good[:3])
    page.wait_for_selector("#teach-count:has-text('3 pictures: can promise 25%')")
    assert "1 more picture is needed" in page.inner_text("#teach-can")
    assert page.is_disabled("#teach-start")
    page.set_input_files("#teach-files", good[3:])
    page.wait_for_selector("#teach-count:has-text('6 pictures')")
    page.click("#teach-start")
    page.wait_for_selector("#teach-told.working")
    page.wait_for_selector("#teach-told:not(.working)", timeout=120_000)
    told = page.inner_text("#teach-told")
    assert told.startswith("disc is taught. Model ")
    assert told.endswith("judges from now on.")
    page.goto(site[0])
    assert judge(page, pictures(unlike, "blot", "disc")[0], "disc") == "NOK"
    assert page.inner_text("#shown-product") == "disc"


def test_what_drifts_is_told_and_drawn_in_the_pages_colours(page, site):
    page.locator("#main").focus()
    page.keyboard.press("6")
    page.wait_for_selector("#drift-said:has-text('Something drifts.')")
    told = page.inner_text("#drift-events")
    assert told.startswith("The camera, its lens or its lamp")
    assert "Moving since about Mar 27, 2026, known on Mar 28, 2026." in told
    assert "bolt: brightness -5.9 % since Mar 27, 2026" in told
    assert "24 charts" in page.inner_text("#drift-promise")
    assert page.locator("#drift-charts .card").count() == 3
    loaded = "one => one.decode().then(() => one.naturalWidth)"
    for theme, other in (("light", "dark"), ("dark", "light")):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        shown = page.locator(f"#drift-charts img.on-{theme}")
        page.wait_for_selector(f"#drift-charts img.on-{theme}[src]")
        assert shown.first.evaluate(loaded) == 720
        assert shown.first.is_visible()
        assert page.locator(f"#drift-charts img.on-{other}").first.is_hidden()
    page.click("#drift-soon summary")
    assert "0.1 sd more each day" in page.inner_text("#drift-soon-table")
    page.select_option("#drift-product", "bolt")
    page.wait_for_selector("#drift-charts .card:only-child h2:text-is('bolt')")
    page.fill("#drift-since", "2026-03-28")
    page.wait_for_selector("#drift-said:has-text('Nothing drifts')")
    page.fill("#drift-since", "2026-04-08")
    page.wait_for_selector("#drift-said:has-text('Too few days')")
    assert "3 days so far" in page.inner_text("#drift-charts")
    assert page.locator("#drift-charts img").count() == 0


def test_after_a_restart_the_strip_says_that_pictures_are_gone(browser, models, plants, tmp_path):
    folder = copied(models, tmp_path / "models")
    with serving(folder) as line:
        line.inspect(pictures(plants, "blot")[0])
    with listening(folder) as (address, line):
        page = browser.new_page(locale="en-GB")
        page.goto(address)
        page.wait_for_selector("#picture-gone:has-text('Judged before the server was started')")
        assert page.inner_text("#verdict-word") == "NOK"
        assert page.is_hidden("#add-normal")
        page.locator("#main").focus()
        page.keyboard.press("f")
        page.wait_for_selector("[data-operator=false_alarm][aria-pressed=true]")
        page.close()
    (last,) = [json.loads(text) for text in (folder / "verdicts.jsonl").read_text().splitlines()]
    assert last["operator"] == "false_alarm"


def test_a_stranger_is_asked_for_the_token(browser, models):
    with listening(models, Access(token=TOKEN)) as (address, _):
        page = browser.new_page(locale="en-GB")
        page.goto(address)
        page.fill("#token", "another-token-altogether")
        page.keyboard.press("Enter")
        page.wait_for_selector("#locked-wrong:has-text('not the token')")
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#readiness[data-kind=ready]")
        page.close()


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_a_phone_scrolls_one_way_and_both_themes_are_legible(page, plants, language):
    judge(page, pictures(plants, "blot")[0])
    page.set_viewport_size({"width": 400, "height": 800})
    page.evaluate("() => { location.hash = '#settings'; }")
    page.select_option("#language", language)
    for theme in ("light", "dark"):
        page.evaluate("() => { location.hash = '#settings'; }")
        page.select_option("#theme", theme)
        for view in ("inspect", "threshold", "teach", "models", "settings", "drift"):
            page.evaluate("view => { location.hash = '#' + view; }", view)
            page.wait_for_selector(f"#view-{view}")
            if view == "drift":
                page.wait_for_selector("#drift-charts .card")
                page.evaluate("() => { document.querySelector('#drift-soon').open = true; }")
            link = page.locator(f"nav a[href='#{view}']").bounding_box()
            assert link["x"] >= 0
            assert link["x"] + link["width"] <= 400, view
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 400, view
            contrasts = page.evaluate(CONTRASTS)
            assert len(contrasts) > 10
            assert [one for one in contrasts if one[0] < 4.5] == [], (view, theme)
        ink, paper = (_luminance(page.evaluate(f"() => {one}")) for one in COLOURS)
        assert (paper > 0.5) == (theme == "light")
        light, dark = max(ink, paper), min(ink, paper)
        assert (light + 0.05) / (dark + 0.05) > 4.5


COLOURS = [f"getComputedStyle(document.body).{name}" for name in ("color", "backgroundColor")]
# Of each element that has words of its own: its colour against the nearest one behind it.
CONTRASTS = """() => {
  const lum = (c) => c.slice(0, 3).map((v) => { v /= 255;
    return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; })
    .reduce((s, v, k) => s + v * [.2126, .7152, .0722][k], 0);
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const solid = (c) => c.length < 4 || c[3] === 1;
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = parts(getComputedStyle(e).backgroundColor); if (solid(c)) return c; }
    return [255, 255, 255]; };
  const found = [];
  for (const e of document.querySelectorAll("header *, main *, footer *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || e.disabled || e.closest("svg") || !e.checkVisibility()) continue;
    const [a, b] = [parts(getComputedStyle(e).color), behind(e)].map(lum).sort((x, y) => y - x);
    found.push([(a + .05) / (b + .05), e.textContent]);
  }
  return found; }"""


def test_paper_has_one_page_with_the_record(page, plants, tmp_path):
    judge(page, pictures(plants, "blot")[0])
    page.emulate_media(media="print")
    content = page.pdf(prefer_css_page_size=True)
    assert content.count(b"/Type /Page\n") == 1
    assert page.locator("#facts").get_attribute("open") is not None
    for gone in (".top", ".intake", ".last", "#operator"):
        assert page.is_hidden(gone), gone
    for there in ("#verdict", "#stage", "#histogram", "#facts-list", ".paper-head"):
        assert page.is_visible(there), there
