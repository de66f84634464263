"""The site in a real browser: Debian's chromium, driven by Playwright."""

import functools
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import site_of_harm as made

from zoo_leaderboard.report.page.names import cell_page

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")

TRACK = "tracks/demo/index.html"
LABEL = f"{made.NAME} (note={made.IMAGE})"
PATIENCE = 120_000
"""Milliseconds: a loaded machine is no failure."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("browser")
    made.write(root / "site", made.fill(root / "runs"))
    return root / "site"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        # Chromium's sandbox refuses to run as root, as containers do.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = started.chromium.launch(executable_path=CHROMIUM, args=options, timeout=PATIENCE)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, folder):
    """Opens pages of the site, and fails on any message, error, dialog or request elsewhere."""
    problems, contexts = [], []

    def start(address=None, **options):
        address = address or f"file://{folder}"
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))

        def failed(request):
            # A page that is left stops loading.
            if request.failure != "net::ERR_ABORTED":
                problems.append(f"failed: {request.url}: {request.failure}")

        def asked(request):
            if not request.url.startswith(address):
                problems.append(f"outgoing: {request.url}")

        page.on("request", asked)
        page.on("requestfailed", failed)
        page.root = address
        return page

    yield start
    for context in contexts:
        context.close()
    assert not problems


def opened(page, path=TRACK):
    page.goto(f"{page.root}/{path}")
    return page


def labels(page):
    found = page.locator("table.board tbody tr:not([hidden]) th")
    return found.evaluate_all("cells => cells.map(cell => cell.dataset.value)")


def test_every_page_opens_without_a_message_or_a_request_elsewhere(visit, folder):
    page = visit()
    for path in sorted(folder.rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("window.harmed") is None
        assert page.locator("h1").count() == 1
        # The style and the script were let through by the page's own policy.
        assert page.evaluate("getComputedStyle(document.querySelector('.top')).display") == "flex"


def test_the_same_from_a_web_host(visit, folder):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = opened(visit(f"http://127.0.0.1:{server.server_port}"))
        page.get_by_role("link", name="kind on a-v0: 81.0 ± 1.0").click()
        page.get_by_role("heading", name="kind on a-v0").wait_for()
    finally:
        server.shutdown()
        server.server_close()


def test_the_table_sorts_by_any_column_with_mouse_and_keyboard(visit):
    page = opened(visit())
    assert labels(page) == ["kind", made.OUTSIDE, "absent", LABEL]
    column = page.get_by_role("columnheader", name="a-v0")
    column.get_by_role("button").click()
    # Values are 91, 81, 20 and none.
    assert labels(page) == ["absent", "kind", LABEL, made.OUTSIDE]
    assert column.get_attribute("aria-sort") == "descending"
    column.get_by_role("button").press("Enter")
    assert labels(page) == [LABEL, "kind", "absent", made.OUTSIDE]
    assert column.get_attribute("aria-sort") == "ascending"
    page.get_by_role("columnheader", name="algorithm").get_by_role("button").click()
    assert labels(page)[-2:] == ["absent", "kind"]
    assert page.locator("[aria-sort]").count() == 1
    page.reload()
    assert labels(page)[-2:] == ["absent", "kind"]


def test_rows_and_columns_are_filtered_and_come_back(visit):
    page = opened(visit())
    page.get_by_label("Family").select_option("cloning")
    assert labels(page) == ["kind"]
    assert page.get_by_role("status").text_content() == "1 of 4 rows"
    page.get_by_label("Family").select_option(made.HARM)
    assert labels(page) == [LABEL]
    page.get_by_label("Family").select_option("")
    page.get_by_label("Plugin").select_option("not installed")
    assert sorted(labels(page)) == sorted(["absent", made.OUTSIDE])
    page.get_by_label("Find").fill("ABS")
    assert labels(page) == ["absent"]
    page.get_by_text("Datasets", exact=True).click()
    page.get_by_role("checkbox", name="a-v0").uncheck()
    assert page.get_by_role("columnheader", name="a-v0").count() == 0
    assert page.get_by_role("columnheader", name="b/c-v1").count() == 1
    page.reload()
    assert labels(page) == ["absent"]
    assert page.get_by_role("columnheader", name="a-v0").count() == 0
    page.get_by_role("button", name="Clear").click()
    playwright.expect(page.get_by_role("status")).to_have_text("4 of 4 rows")
    assert page.get_by_role("columnheader", name="a-v0").count() == 1
    assert "#" not in page.url


def test_a_cell_opens_its_runs_and_a_run_its_error(visit):
    page = opened(visit())
    page.get_by_role("link", name=f"{LABEL} on a-v0").click()
    page.get_by_role("heading", level=1).wait_for()
    assert LABEL in page.get_by_role("heading", level=1).text_content()
    reason = page.locator("#seed-1 .problem")
    assert not reason.is_visible()
    page.get_by_role("link", name="1", exact=True).click()
    reason.wait_for(state="visible")
    assert made.IMAGE in reason.text_content()
    assert page.evaluate("window.harmed") is None
    page.get_by_role("navigation", name="Breadcrumbs").get_by_role("link").last.click()
    page.get_by_role("heading", name="By dataset").wait_for()


def test_a_command_is_copied(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    opened(page, cell_page("demo", "kind", "a-v0"))
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("zoo leaderboard run --track demo --algorithm kind")


def test_everything_can_be_read_without_javascript(visit):
    page = opened(visit(java_script_enabled=False))
    assert page.get_by_role("row").count() == 5
    assert not page.locator("form").is_visible()
    assert not page.get_by_role("button").count()
    page.get_by_role("link", name="kind on a-v0").click()
    page.locator("#seed-2 summary").click()
    page.locator("#seed-2").get_by_role("columnheader", name="step").wait_for()


def test_a_phone_scrolls_tables_and_not_the_page(visit, folder):
    page = visit(viewport={"width": 390, "height": 844})
    for path in sorted(folder.rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_the_page_follows_the_readers_light_or_dark(visit):
    shades = []
    for scheme in ("light", "dark"):
        page = opened(visit(color_scheme=scheme))
        shades.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert shades == ["rgb(255, 255, 255)", "rgb(17, 22, 28)"]


def test_the_keyboard_reaches_the_content_first_and_the_table_scrolls(visit):
    page = opened(visit())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    region = page.get_by_role("region", name="Scores by algorithm and dataset")
    region.focus()
    assert page.evaluate("document.activeElement.className") == "scroll tall"
