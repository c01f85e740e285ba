"""axe-core finds no serious or critical fault, and nothing has to be scrolled sideways, whatever the size and theme."""

import re
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.browser import hostile
from tests.paths import ROOT
from tests.plugins.chromium import Open
from tools.process import SidecarProcess

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SIZES = {"phone": (360, 740), "tablet": (768, 1024), "desktop": (1280, 800)}
IN_DOCUMENTS = {("desktop", "light"), ("phone", "dark")}
MOST_BYTES = 200_000


def serious_faults(page: Page) -> list[tuple[str, list[str]]]:
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 20
    return [
        (v["id"], [node["html"] for node in v["nodes"]])
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_fits_at_every_size_and_is_accessible_in_both_themes(
    flights: SidecarProcess, open_page: Open, screenshots: Path, size: str, scheme: str
) -> None:
    width, height = SIZES[size]
    page = open_page(f"{flights.url}/#model=flights&feature=dep_delay", width=width, height=height, scheme=scheme).page
    expect(page.locator("#detail h2")).to_have_text("dep_delay")
    page.wait_for_function("document.getAnimations().length === 0")
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(n => n < 64)")
    assert dark == (scheme == "dark")
    if (size, scheme) in IN_DOCUMENTS:
        assert serious_faults(page) == []
        picture = screenshots / f"status-page-{size}-{scheme}.png"
        picture.parent.mkdir(exist_ok=True)
        page.screenshot(path=picture)
        assert 5_000 < picture.stat().st_size < MOST_BYTES


@pytest.mark.parametrize("state", ["learner", "hostile", "stale"])
def test_is_accessible_in_every_state(flights: SidecarProcess, open_page: Open, state: str) -> None:
    model = {"hostile": hostile.MODEL, "stale": "flights"}.get(state, state)
    tab = open_page(flights.url, width=360, height=740)
    page = tab.page
    page.get_by_label("Model").select_option(model)
    expect(page.locator("#reference")).to_contain_text("being learned" if state == "learner" else "Fingerprint")
    if state == "stale":
        page.route("**/drift*", lambda route: route.abort())
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert serious_faults(page) == []
    if state == "stale":  # it goes on asking
        page.unroute("**/drift*")
        page.reload()
        tab.faults[:] = [fault for fault in tab.faults if "ERR_FAILED" not in fault]


def test_nothing_moves_where_less_motion_is_wanted(flights: SidecarProcess, open_page: Open) -> None:
    page = open_page(flights.url, reduced_motion="reduce").page
    page.wait_for_selector("#detail rect.live")
    assert page.locator("#detail rect.live").first.evaluate("bar => getComputedStyle(bar).transitionDuration") == "0s"


def test_the_pictures_in_the_documents_are_there_and_small() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert {p.name for p in pictures} >= {f"status-page-{size}-{scheme}.png" for size, scheme in IN_DOCUMENTS}
    text = (ROOT / "docs" / "status-page.md").read_text(encoding="utf-8")
    for picture in pictures:
        if picture.name.startswith("status-page"):
            assert re.search(rf"images/{picture.name}", text)
            assert picture.stat().st_size < MOST_BYTES
