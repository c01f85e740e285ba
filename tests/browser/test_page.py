"""What the status page shows is what the sidecar says, and it can be used by mouse, keyboard and address."""

import http.server
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser import hostile
from tests.browser.conftest import MANY
from tests.plugins.chromium import Open
from tests.plugins.serving import get, wait_until
from tools.process import SidecarProcess

LEVEL_WORDS = {"none": "no drift"}


def drift(process: SidecarProcess, model: str, query: str = "") -> Any:
    return get(process.url, f"/drift?model={quote(model)}{query}").json()["models"][model]


def word(level: str) -> str:
    return LEVEL_WORDS.get(level, level)


def percent(share: float) -> str:
    return f"{share * 100:.1f}%"


def rows(page: Page, table: str) -> list[list[str]]:
    """Return the texts of the cells of a table, as they are shown."""
    texts: list[list[str]] = page.locator(f"{table} tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return texts


def shows(page: Page, expected: list[list[str]]) -> bool:
    return rows(page, "#feature-table") == expected


def open_feature(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def test_says_at_first_sight_what_is_wrong(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(flights.url).page
    report = drift(flights, "flights")
    counts = [report["levels"]["1h"][role] for role in ("input", "output")]
    moved = sum(c[level] for c in counts for level in ("critical", "significant", "moderate"))
    assert report["features"][0]["level"] == "critical"
    furthest = report["features"][0]["feature"]

    heading = page.get_by_role("heading", level=2).first
    expect(heading).to_have_text(f"critical: {moved} of 10 features moved; the furthest is {furthest}")
    assert page.title() == "critical: flights – model-sidecar"
    expect(page.get_by_role("heading", name=furthest, exact=True)).to_be_visible()


def test_lists_features_as_drift_does_the_worst_first(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(flights.url).page
    page.wait_for_selector("#feature-table tbody tr")
    for window in ("5m", "1h"):
        page.get_by_role("radio", name=window).check()
        page.wait_for_url(f"**/#*window={window}*")
        expected = [
            [
                word(entry["windows"][window]["level"]),
                entry["feature"] + (" output" if entry["role"] == "output" else ""),
                f"{entry['windows'][window]['psi']:.3f}",
                "",
                percent(entry["windows"][window]["missing_ratio"]),
                str(entry["windows"][window]["samples"]),
            ]
            for entry in drift(flights, "flights", f"&window={window}")["features"]
        ]
        assert len(expected) == 10
        wait_until(partial(shows, page, expected))


@pytest.mark.parametrize("feature", ["dep_delay", "carrier", "probability"])
def test_shows_the_bins_of_the_feature_that_is_clicked(flights: SidecarProcess, open_page: Open, feature: str) -> None:
    page = open_page(flights.url).page
    open_feature(page, feature)
    [entry] = drift(flights, "flights", f"&feature={feature}")["features"]
    samples = entry["windows"]["1h"]["samples"]
    expected = [
        [b["range"], "", percent(b["reference"]), percent(b["count"] / samples), f"{b['contribution']:.3f}"]
        for b in entry["bins"]
    ]
    assert rows(page, "#detail .bins-table") == expected
    worst = sorted(entry["bins"], key=lambda b: -b["contribution"])[:3]
    shown = page.locator("#detail ol li").all_inner_texts()
    assert [text.partition(" from ")[0] for text in shown] == [b["range"] for b in worst if b["contribution"] >= 0.005]
    figures = dict(
        zip(page.locator("#detail dt").all_inner_texts(), page.locator("#detail dd").all_inner_texts(), strict=True)
    )
    statistics = entry["windows"]["1h"]
    assert figures["KL"] == f"{statistics['kl']:.3f}"
    assert figures["JS"] == f"{statistics['js']:.3f}"
    assert figures["PSI by chance alone"] == f"up to {statistics['threshold']:.3f}"
    assert ("KS" in figures) == (entry["kind"] == "numeric")


def test_bars_are_as_long_as_the_shares(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(flights.url).page
    open_feature(page, "dep_delay")
    [entry] = drift(flights, "flights", "&feature=dep_delay")["features"]
    page.wait_for_function("document.getAnimations().length === 0")
    drawn = page.locator("#detail .bins-table tbody tr").evaluate_all(
        """rows => rows.map(row => ["reference", "live"].map(
            name => row.querySelector(`rect.${name}`).width.baseVal.value))"""
    )
    samples = entry["windows"]["1h"]["samples"]
    shares = [(b["reference"], b["count"] / samples) for b in entry["bins"]]
    scale = max(max(pair) for pair in shares) / max(max(pair) for pair in drawn)
    for pixels, pair in zip(drawn, shares, strict=True):
        assert [p * scale for p in pixels] == pytest.approx(pair, abs=0.01)


def test_shows_latency_objectives_and_errors(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(flights.url).page
    windows = get(flights.url, "/latency?model=flights").json()["models"]["flights"]["windows"]
    page.wait_for_selector("#service tbody tr")
    objectives = rows(page, "#service table:last-of-type")
    assert [row[0] for row in objectives] == ["5m", "1h", "24h"]
    for row in objectives:
        for cell, slo in zip(row[1:], windows[row[0]]["slos"], strict=True):
            assert cell == f"{'met' if slo['met'] else 'missed'} {slo['within'] * 100:.2f}%"
    assert {slo["met"] for slo in windows["1h"]["slos"]} == {True, False} or not windows["1h"]["slos"][0]["met"]
    for window, p50, *_, errors, events in rows(page, "#service table:first-of-type"):
        milliseconds = float(re.fullmatch(r"([\d.]+) ms", p50)[1])  # type: ignore[index]  # None fails the test too
        assert milliseconds == pytest.approx(windows[window]["p50"] * 1000, rel=0.005)
        assert (errors, events) == (percent(windows[window]["error_ratio"]), str(windows[window]["events"]))


def test_shows_where_the_reference_is_from_and_how_the_sidecar_is(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(flights.url).page
    reference = drift(flights, "flights")["reference"]
    health = get(flights.url, "/health").json()
    for text in (reference["source"], reference["fingerprint"], f"{reference['rows']:,}"):
        expect(page.locator("#reference")).to_contain_text(text)
    expect(page.locator("#sidecar")).to_contain_text(health["version"])
    assert rows(page, "#sidecar table") == [["http", f"{health['ingest']['http']['events']:,}", "0", "0"]]


def test_can_be_used_by_the_keyboard_alone(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(f"{flights.url}/#model=flights").page
    page.wait_for_selector("#feature-table tbody tr")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the features")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    first = page.locator("#feature-table button").first
    expect(first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    third = page.locator("#feature-table button").nth(2)
    expect(third).to_be_focused()
    outline = third.evaluate("button => getComputedStyle(button).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#detail h2")).to_have_text(third.inner_text())
    expect(third).to_be_focused()
    page.locator("#windows input:checked").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**window=5m**")
    expect(page.locator("#windows input[value='5m']")).to_be_focused()


def test_goes_to_the_feature_on_a_phone_and_back_to_the_features(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(flights.url, width=360, height=740, has_touch=True).page
    page.get_by_role("button", name="origin", exact=True).tap()
    expect(page.locator("#detail")).to_be_focused()
    expect(page.locator("#detail h2")).to_have_text("origin")
    expect(page.locator("#detail h2")).to_be_in_viewport()
    expect(page.get_by_role("heading", level=2).first).not_to_be_in_viewport()
    page.get_by_role("link", name="Back to the features").tap()
    expect(page.locator("#features")).to_be_focused()
    expect(page.get_by_role("button", name="origin", exact=True)).to_be_in_viewport()


def test_keeps_what_is_chosen_in_the_address(flights: SidecarProcess, open_page: Open) -> None:
    first = open_page(flights.url).page
    open_feature(first, "carrier")
    first.get_by_role("radio", name="24h").check()
    first.wait_for_url("**window=24h**")
    second = open_page(first.url).page
    expect(second.get_by_role("heading", name="carrier", exact=True)).to_be_visible()
    expect(second.get_by_role("radio", name="24h")).to_be_checked()
    second.get_by_role("button", name="origin", exact=True).click()
    expect(second.locator("#detail h2")).to_have_text("origin")
    second.go_back()
    expect(second.locator("#detail h2")).to_have_text("carrier")


def test_says_where_the_address_names_what_is_not_there(flights: SidecarProcess, open_page: Open) -> None:
    tab = open_page(f"{flights.url}/#model=gone&window=9h&feature=lost")
    expect(tab.page.locator("#notice")).to_contain_text("There is no model gone now")
    expect(tab.page.locator("#notice")).to_contain_text("There is no window 9h")
    expect(tab.page.locator("#detail")).to_contain_text("There is no such feature now")
    # The browser tells of every 404 by itself.
    tab.faults[:] = [fault for fault in tab.faults if "404" not in fault]


def test_shows_a_bounded_part_of_many_features_and_finds_the_others(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(f"{flights.url}/#model=many").page
    expect(page.locator("#shown")).to_contain_text(f"Showing the first 100 of {MANY:,}.")
    assert len(rows(page, "#feature-table")) == 100
    page.get_by_role("searchbox").fill("FEATURE 000")
    expect(page.locator("#feature-table tbody tr")).to_have_count(10)
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.locator("#shown")).to_have_text("No feature has that in its name.")
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("nothing like it")


def test_says_how_far_learning_is(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(f"{flights.url}/#model=learner").page
    expect(page.locator("#learning")).to_contain_text("10,000 predictions: 250 so far.")
    assert page.get_by_role("progressbar").evaluate("bar => bar.value / bar.max") == 0.025
    expect(page.locator("#detail")).to_be_hidden()
    page.get_by_label("Model").select_option("flights")
    expect(page.locator("#feature-table tbody tr")).to_have_count(10)
    expect(page.locator("#learning")).to_be_hidden()


def test_hostile_names_are_shown_as_they_are_and_do_nothing(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(f"{flights.url}/#model={quote(hostile.MODEL)}").page
    expect(page.locator("#feature-table tbody tr")).to_have_count(len(hostile.FEATURES))
    shown = {name.translate(hostile.SHOWN) for name in hostile.FEATURES}
    assert {row[1] for row in rows(page, "#feature-table")} == shown
    for name in shown:
        page.locator(f'#feature-table button[title="{attribute(name)}"]').click()
        expect(page.locator("#detail h2")).to_have_text(name)
        ranges = page.locator("#detail .bins-table tbody th").all_text_contents()
        categories = {category.translate(hostile.SHOWN) for category in hostile.CATEGORIES}
        assert categories | {"other", "missing"} == set(ranges)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#reference")).to_contain_text(hostile.MARKUP)
    assert page.locator("img, body script:not([type=module]), main b").count() == 0


def attribute(text: str) -> str:
    """Write a text in a CSS selector."""
    return text.replace("\\", "\\\\")


@contextmanager
def proxy(target: str, prefix: str) -> Iterator[str]:
    """Serve a target under a prefix, as `kubectl proxy` does; yields the address of the target's `/`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(prefix):
                self.send_error(404)
                return
            with urllib.request.urlopen(target + self.path.removeprefix(prefix.rstrip("/"))) as answer:
                body = answer.read()
                self.send_response(answer.status)
                for header in ("Content-Type", "Content-Security-Policy"):
                    if value := answer.headers[header]:
                        self.send_header(header, value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
        server.shutdown()


def test_works_behind_a_prefix_of_the_path(flights: SidecarProcess, open_page: Open) -> None:
    with proxy(flights.web_urls[0], "/api/v1/namespaces/ml/pods/fraud-0:9108/proxy/") as url:
        page = open_page(url).page
        expect(page.locator("#feature-table tbody tr")).to_have_count(10)
        expect(page.locator("#detail h2")).to_be_visible()
        page.close()
