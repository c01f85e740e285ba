"""What a page of another origin can do to a sidecar on the same machine, in a real browser: nothing."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.chromium import Open
from tests.plugins.serving import event, post, samples, wait_until
from tools.process import SidecarProcess, sidecar

ATTACK = """async ([url, body]) => {
    const outcomes = []
    for (const path of ["/monitor", "/labels", "/-/reload"]) {
        const answer = await fetch(url + path, {method: "POST", mode: "no-cors", body})
        outcomes.push(answer.type)
        outcomes.push(navigator.sendBeacon(url + path, body))
    }
    const form = document.createElement("form")
    Object.assign(form, {method: "post", action: url + "/monitor", enctype: "text/plain", target: "_self"})
    document.body.append(form)
    form.submit()
    return outcomes
}"""
BODY = '{"features": {"amount": 1}}'
OWN = """async (body) => (await fetch("/monitor", {method: "POST", body})).status"""


class Blank(http.server.BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>evil</title>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Serve a page at another origin, and return its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[SidecarProcess]:
    with sidecar(tmp_path, options=["--web.enable-lifecycle"]) as running:
        yield running


def counters(process: SidecarProcess) -> dict[str, float]:
    found: dict[str, float] = {}
    for (name, labels), number in samples(process.url).items():
        if name.startswith(("model_sidecar_events", "model_sidecar_labels", "model_sidecar_requests_refused")):
            key = f"{name} {dict(labels).get('reason', '')}"
            found[key] = found.get(key, 0) + number
    return {key: number for key, number in found.items() if number}


def test_a_page_of_another_origin_changes_nothing(process: SidecarProcess, elsewhere: str, open_page: Open) -> None:
    tab = open_page(elsewhere)
    # The requests are sent, as far as the page can tell: no browser stops them.
    assert tab.page.evaluate(ATTACK, [process.url, BODY]) == ["opaque", True] * 3
    wait_until(lambda: counters(process).get("model_sidecar_requests_refused_total cross_site", 0) >= 7)
    assert counters(process) == {"model_sidecar_requests_refused_total cross_site": 7}
    assert "msg=reloaded" not in process.log.read_text()
    tab.faults.clear()


def test_a_name_that_leads_here_reads_nothing(process: SidecarProcess, open_page: Open) -> None:
    # Chromium resolves *.localhost to this machine: a name that is foreign and leads here, as after rebinding.
    tab = open_page(process.url.replace("127.0.0.1", "evil.localhost") + "/drift")
    assert "this listener is not called that" in tab.page.inner_text("body")
    assert tab.page.evaluate(OWN, BODY) == 403
    assert counters(process).keys() == {"model_sidecar_requests_refused_total host"}
    tab.faults.clear()


def test_the_page_of_the_sidecar_itself_may_do_what_programs_may(process: SidecarProcess, open_page: Open) -> None:
    tab = open_page(process.url)
    assert tab.page.evaluate(OWN, BODY) == 202
    assert post(process.url, event()).status == 202
    assert counters(process) == {"model_sidecar_events_total ": 2}
