"""Scrapes are answered while events come as fast as they can, and whatever other clients of `/metrics` do."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from bench.fairness import flat_out, scrape
from sidecar.reference import build, save
from tests.plugins.serving import Start, connected, get, samples, value
from tools.process import SidecarProcess

FEATURES, EVENTS, SENDERS, SCRAPES = 1000, 50, 50, 5
NAMES = [f"feature_{i}" for i in range(FEATURES)]


@pytest.fixture
def wide(start: Start, tmp_path: Path) -> SidecarProcess:
    rows = np.random.default_rng(1).normal(size=(FEATURES, 1000))
    save(build(dict(zip(NAMES, rows, strict=True))), tmp_path / "wide.json")
    config = tmp_path / "sidecar.yml"
    config.write_text("models: [{name: wide, reference: wide.json}]\n", encoding="utf-8")
    return start(config, web=1)


def test_every_scrape_is_answered_while_many_send_as_fast_as_they_can(wide: SidecarProcess) -> None:
    line = json.dumps({"features": dict.fromkeys(NAMES, 1.5)}).encode()
    with flat_out(wide.url, b"\n".join([line] * EVENTS), senders=SENDERS) as load:
        # Prometheus waits for ten seconds; without turns of their own scrapes took longer than that.
        assert None not in [scrape(wide.web_urls[0]) for _ in range(SCRAPES)]
    assert {status for status, _ in load.answers} == {202}
    assert len(load.answers) > SENDERS
    assert value(samples(wide.url), "model_predictions_total") == len(load.answers) * EVENTS


def test_scrapes_whose_clients_hung_up_cost_nothing_and_keep_nobody_out(wide: SidecarProcess) -> None:
    url = wide.web_urls[0]
    get(url, "/metrics")
    for _ in range(20):
        for _ in range(50):
            with connected(url) as connection:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        began = time.monotonic()
        answer = get(url, "/metrics")
        # The line is short, and whoever finds it full is told so at once.
        assert answer.status in (200, 503)
        assert time.monotonic() - began < 10
    deadline = time.monotonic() + 10
    while get(url, "/metrics").status != 200:
        assert time.monotonic() < deadline
