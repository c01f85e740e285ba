"""The page keeps itself up to date, rests while nobody looks, and says when what it shows is old."""

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import send
from tests.plugins.chromium import Open
from tools.process import SidecarProcess, end, sidecar

LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"


def samples(page: Page) -> Any:
    return page.locator("#feature-table tbody tr:first-child td:last-child")


def test_brings_numbers_up_to_date_and_keeps_focus_and_choice(
    flights_config: Path, tmp_path: Path, storm: dict[str, list[Any]], open_page: Open
) -> None:
    with sidecar(tmp_path, config=flights_config) as process:
        send(process, "flights", storm)
        page = open_page(process.url).page
        rows = len(storm["hour"])
        expect(samples(page)).to_have_text(f"{rows:,}")
        button = page.get_by_role("button", name="carrier", exact=True)
        button.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#detail h2")).to_have_text("carrier")
        send(process, "flights", storm)
        expect(samples(page)).to_have_text(f"{2 * rows:,}", timeout=12_000)
        expect(button).to_be_focused()
        expect(page.locator("#detail h2")).to_have_text("carrier")
        page.close()


def test_says_loudly_that_the_sidecar_is_gone_and_recovers_when_it_is_back(
    flights_config: Path, tmp_path: Path, storm: dict[str, list[Any]], open_page: Open
) -> None:
    with sidecar(tmp_path, config=flights_config) as process:
        send(process, "flights", storm)
        tab = open_page(process.url)
        page = tab.page
        expect(page.locator("#feature-table tbody tr")).to_have_count(10)
        expect(page.get_by_role("alert")).to_be_hidden()
        port = process.url.rpartition(":")[2]
        end(process.process)
        page.evaluate(LOOK_AGAIN)
        banner = page.get_by_role("alert")
        expect(banner).to_contain_text("The sidecar does not answer.")
        expect(banner).to_contain_text(re.compile(r"What is shown is of \d\d:\d\d:\d\d, \d+ s old \(no connection\)"))
        assert page.locator("#feature-table tbody tr").count() == 10
        with sidecar(tmp_path, config=flights_config, options=[f"--ingest.listen-address=127.0.0.1:{port}"]) as again:
            assert again.url == process.url
            page.evaluate(LOOK_AGAIN)
            expect(banner).to_be_hidden()
            expect(page.get_by_role("heading", level=2).first).to_have_text("No predictions in the last 1h")
            page.close()
    # The browser tells of the refused connections, and of nothing else.
    tab.faults[:] = [fault for fault in tab.faults if "ERR_CONNECTION_REFUSED" not in fault]


def test_says_that_nothing_is_known_where_the_sidecar_never_answered(flights: SidecarProcess, open_page: Open) -> None:
    def busy(page: Page) -> None:
        page.route("**/drift*", lambda route: route.fulfill(status=503, body="busy"))

    tab = open_page(flights.url, first=busy)
    expect(tab.page.get_by_role("alert")).to_contain_text("Nothing is known yet (it answered 503 to drift).")
    expect(tab.page.locator("main")).to_be_hidden()
    tab.faults[:] = [fault for fault in tab.faults if "503" not in fault]


def test_does_not_ask_while_nobody_looks(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(flights.url, first=lambda page: page.clock.install()).page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.locator("#feature-table tbody tr")).to_have_count(10)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate(LOOK_AGAIN)
    asked.clear()
    page.clock.run_for(60_000)
    assert asked == []
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false})")
    with page.expect_response("**/drift**"):
        page.evaluate(LOOK_AGAIN)
    expect(page.get_by_role("alert")).to_be_hidden()
