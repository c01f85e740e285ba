"""Real Chromium for tests of pages; `pytest --screenshots` takes the pictures of the documents again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, sync_playwright

from tests.paths import ROOT
from tests.plugins.programs import program

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => console.error(
    `against the policy: ${event.violatedDirective} ${event.blockedURI}`))"""

TIMEOUT_MS = 15_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="take the pictures in docs/images again")


@dataclass
class Tab:
    """A page, and what it should not have done: errors, dialogs, requests elsewhere, breaches of its policy."""

    page: Page
    faults: list[str] = field(default_factory=list)


Open = Callable[..., Tab]


@contextmanager
def running() -> Iterator[Browser]:
    """Run Debian's Chromium, without a profile of anybody's. No loop of asyncio can run in this thread meanwhile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Open]:
    """Open an address in a browser of its own: `open_page(url, width=360, height=740, scheme="dark")`.

    `first` is called with the page before that. The test fails where the page did something that it should not, unless
    it empties `faults`.
    """
    contexts: list[BrowserContext] = []
    tabs: list[Tab] = []

    def opened(
        url: str,
        *,
        width: int = 1280,
        height: int = 800,
        scheme: Any = "light",
        first: Callable[[Page], None] = lambda page: None,
        **options: Any,
    ) -> Tab:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB", **options
        )
        contexts.append(context)
        context.add_init_script(REPORT_VIOLATIONS)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        tab = Tab(page)
        tabs.append(tab)
        faults = tab.faults
        origin = "/".join(url.split("/")[:3])

        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                faults.append(f"console: {message.text}")

        def on_dialog(dialog: Dialog) -> None:
            faults.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        def on_request(request: Request) -> None:
            if not request.url.startswith((f"{origin}/", "data:")):
                faults.append(f"request: {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", on_dialog)
        page.on("request", on_request)
        first(page)
        page.goto(url)
        return tab

    yield opened
    found = [fault for tab in tabs for fault in tab.faults]
    for context in contexts:
        context.close()
    assert found == []


@pytest.fixture(scope="session")
def screenshots(pytestconfig: pytest.Config) -> Iterator[Path]:
    """Return where pictures go: into the documents if so asked, else where they are forgotten."""
    if pytestconfig.getoption("--screenshots"):
        yield ROOT / "docs" / "images"
    else:
        with TemporaryDirectory() as folder:
            yield Path(folder)
