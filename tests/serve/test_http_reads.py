"""What a client that reads from the listeners of a running sidecar sees."""

import base64
import hashlib
import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sidecar.serve.routes import PATHS
from tests.plugins.serving import (
    Start,
    changes,
    connected,
    event,
    fraud_config,
    get,
    parsed,
    post,
    request,
    samples,
    value,
)
from tests.serve.test_http_writes import columns
from tools.process import SidecarProcess, sidecar


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """Run a sidecar whose inputs have moved, and whose outputs too, but less far."""
    directory = tmp_path_factory.mktemp("moved")
    with sidecar(directory, config=fraud_config(directory)) as process:
        usual = [event(features={"amount": 1e6, "merchant": "other"}, prediction="legitimate") for _ in range(300)]
        assert post(process.url, usual).status == 202
        yield process


WRITE_PATHS = ("/monitor", "/labels")


READ_PATHS = [path for path in (*PATHS, "/metrics") if path not in (*WRITE_PATHS, "/-/reload")]


@pytest.mark.parametrize("path", READ_PATHS)
def test_serves_every_read_path_on_both_listeners_for_get_and_head(fraud: SidecarProcess, path: str) -> None:
    for url in (fraud.url, *fraud.web_urls):
        answer, head = get(url, path), request(url, "HEAD", path)
        assert (answer.status, head.status, head.body) == (200, 200, b"")
        assert head.headers["Content-Type"] == answer.headers["Content-Type"]


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "nonsense"]
)
def test_takes_nothing_but_get_and_head_from_the_network(fraud: SidecarProcess, method: str) -> None:
    before = samples(fraud.url)
    body = json.dumps(event()).encode()
    for path in (*PATHS, "/metrics", "/nothing"):
        with connected(fraud.web_urls[0]) as connection:
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            status = int(connection.recv(100).split()[1])
        assert status in (400, 404, 405), (method, path, status)
    assert changes(before, samples(fraud.url)) == {}


@pytest.mark.parametrize("path", ["/monitor", "/-/reload", "/-/quit", "/debug", "/drift/", "/%2e%2e/monitor", "//"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_does_not_have_paths_that_write_on_the_network_listener(fraud: SidecarProcess, method: str, path: str) -> None:
    assert request(fraud.web_urls[0], method, path, b"").status == 404


@pytest.mark.parametrize("path", [*READ_PATHS, *WRITE_PATHS, "/-/reload"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_answers_405_and_what_is_allowed_on_the_ingest_listener(fraud: SidecarProcess, method: str, path: str) -> None:
    reply = request(fraud.url, method, path)
    assert reply.status == 405
    assert reply.headers["Allow"] == ("POST" if path in (*WRITE_PATHS, "/-/reload") else "GET,HEAD")


QUERIES = {
    "/drift?model=nothing": "no model 'nothing'; there is: fraud",
    "/drift?feature=nothing": "no feature 'nothing'; there is: amount, probability, merchant, prediction",
    "/drift?feature=amount&window=2h": "no window '2h'; there is: 5m, 1h, 24h",
    "/drift?model=%ff%00": "no model '�\\x00'; there is: fraud",
}


@pytest.mark.parametrize(("query", "error"), QUERIES.items())
def test_answers_404_and_what_there_is_to_a_query_for_what_is_not(
    fraud: SidecarProcess, query: str, error: str
) -> None:
    reply = get(fraud.url, query)
    assert (reply.status, reply.json()) == (404, {"error": error})


ODD_ACCEPTS = [
    "application/openmetrics-text;version=x.y",
    "application/openmetrics-text;version=9.9.9;escaping=nonsense",
    "text/plain;version=;q=",
    "*/*;q=abc",
    ";;;,,,===",
    "\xe9",
    "a" * 4000,
    "application/openmetrics-text;version=1.0.0;q=nan",
]


@pytest.mark.parametrize("accept", ODD_ACCEPTS, ids=lambda accept: accept[:50])
def test_answers_a_scrape_in_the_text_format_whatever_odd_format_is_asked_for(
    fraud: SidecarProcess, accept: str
) -> None:
    reply = get(fraud.url, "/metrics", accept=accept)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert parsed(reply.text)


def test_tells_the_bins_of_one_feature(fraud: SidecarProcess) -> None:
    [entry] = get(fraud.url, "/drift?feature=merchant&window=5m").json()["models"]["fraud"]["features"]
    assert entry["bins_window"] == "5m"
    assert [b["bin"] for b in entry["bins"]] == ["00", "01", "02", "other", "missing"]
    assert set(entry["bins"][0]) == {"bin", "range", "reference", "live", "count", "contribution"}


@pytest.mark.parametrize(
    ("query", "features"),
    [
        ("limit=2", ["merchant", "amount"]),
        ("limit=0", []),
        ("match=MO", ["amount"]),
        ("match=pr&limit=1", ["probability"]),
        ("match=nothing", []),
    ],
)
def test_drift_is_limited_to_the_features_that_are_asked_for(
    moved: SidecarProcess, query: str, features: list[str]
) -> None:
    everything = get(moved.url, "/drift").json()["models"]["fraud"]
    report = get(moved.url, f"/drift?{query}").json()["models"]["fraud"]
    assert [entry["feature"] for entry in report["features"]] == features
    assert report["features"] == [e for e in everything["features"] if e["feature"] in features]
    assert report["levels"] == everything["levels"]
    assert report["matched"] == {"match=MO": 1, "match=pr&limit=1": 2, "match=nothing": 0}.get(query, 4)


def test_drift_counts_levels_and_says_what_they_rest_on(moved: SidecarProcess) -> None:
    report = get(moved.url, "/drift").json()["models"]["fraud"]
    assert report["windows"] == ["5m", "1h", "24h"]
    assert report["min_samples"] == 200
    for window in report["windows"]:
        for role in ("input", "output"):
            levels = [e["windows"][window]["level"] for e in report["features"] if e["role"] == role]
            counts = report["levels"][window][role]
            assert list(counts) == ["critical", "significant", "moderate", "none", "unknown"]
            assert counts == {level: levels.count(level) for level in counts}
            assert sum(counts.values()) == len(levels) == 2
    assert report["levels"]["1h"]["input"]["critical"] == 2
    thresholds = {"moderate": 0.1, "significant": 0.2, "critical": 0.25, "rollback": 0.5}
    assert all(entry["thresholds"] == thresholds for entry in report["features"])


def test_drift_counts_values_outside_the_range_of_the_reference(moved: SidecarProcess) -> None:
    def out_of_range(feature: str) -> Any:
        [entry] = get(moved.url, f"/drift?feature={feature}").json()["models"]["fraud"]["features"]
        return entry["out_of_range"]

    assert (out_of_range("amount"), out_of_range("merchant")) == (300, None)


@pytest.mark.parametrize("limit", ["-1", "x", "", "1.5", "1" * 10, "٣"])
def test_drift_answers_400_to_a_limit_that_is_no_whole_number(fraud: SidecarProcess, limit: str) -> None:
    reply = get(fraud.url, f"/drift?limit={quote(limit)}")
    assert (reply.status, reply.json()) == (400, {"error": f"limit: {limit!r} is not a whole number"})


@pytest.mark.parametrize("path", ["/drift?window=9h", "/drift?limit=1&window=9h", "/latency?model=gone"])
def test_answers_404_and_what_there_is(fraud: SidecarProcess, path: str) -> None:
    reply = get(fraud.url, path)
    assert reply.status == 404
    assert re.fullmatch(r"no (window '9h'; there is: 5m, 1h, 24h|model 'gone'; there is: fraud)", reply.json()["error"])


def test_latency_says_by_what_errors_are_judged(fraud: SidecarProcess) -> None:
    [model] = get(fraud.url, "/latency?model=fraud").json()["models"].values()
    assert (model["error_limit"], model["min_predictions"]) == (0.05, 100)


def test_health_says_what_came_in_what_was_lost_and_how_it_last_loaded(start: Start, tmp_path: Path) -> None:
    config = fraud_config(tmp_path)
    process = start(config, options=["--web.enable-lifecycle"])
    post(process.url, [event(), event(features={"amount": 1, "surprise": 2}), event(features={"amount": "much"})])
    post(process.url, b"{")
    health = get(process.url, "/health").json()
    http_counts = health["ingest"]["http"]
    assert http_counts["events"] == 2
    assert {k: v for k, v in http_counts["rejected"].items() if v} == {"invalid": 1, "unreadable": 1}
    assert http_counts["dropped"] == {"overload": 0}
    assert health["unknown_features"] == {"fraud": 1}
    loaded = health["last_load"]
    assert loaded["successful"] is True
    config.write_text("models: []\n")
    assert request(process.url, "POST", "/-/reload").status == 500
    assert get(process.url, "/health").json()["last_load"] == {**loaded, "successful": False}


def test_status_page_asks_for_nothing_from_elsewhere(fraud: SidecarProcess) -> None:
    for url in (fraud.url, fraud.web_urls[0]):
        page = get(url, "/")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert set(re.findall(r"https?://[\w./]+", page.text)) == {"http://www.w3.org/2000/svg"}
        ours = "data:|#|drift|latency|quality|alerts|health|metrics"
        assert re.findall(rf"""(?:src|href)=["'](?!{ours})""", page.text) == []
        assert "{{" not in page.text


def test_policy_of_the_status_page_names_its_style_and_script_and_nothing_else(fraud: SidecarProcess) -> None:
    page = get(fraud.url, "/")
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        [text] = re.findall(rf"(?s)<{tag}[^>]*>(.*?)</{tag}>", page.text)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy.pop(directive) == f"'sha256-{digest}'"
    assert policy.pop("connect-src") == "'self'"
    assert policy.pop("img-src") == "data:"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert policy.keys() == {"default-src", "base-uri", "form-action", "frame-ancestors", "trusted-types"}
    assert set(policy.values()) == {"'none'"}
    assert re.findall(r"\son\w+=|style=", page.text.partition("<script")[0]) == []


def test_status_page_is_not_sent_again_while_it_is_the_same(fraud: SidecarProcess) -> None:
    page = get(fraud.url, "/")
    tag = page.headers["ETag"]
    assert page.headers["Cache-Control"] == "no-cache"
    again = get(fraud.url, "/", if_none_match=f'"other", W/{tag}')
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert "Content-Security-Policy" in again.headers
    assert get(fraud.url, "/", if_none_match='"other"').body == page.body


def test_listens_on_ipv6(start: Start) -> None:
    try:
        with closing(socket.socket(socket.AF_INET6)) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    process = start(options=["--ingest.listen-address=[::1]:0"])
    assert process.url.startswith("http://[::1]:")
    assert post(process.url, {"features": {"a": 1}}).status == 202


def test_keeps_several_models_apart(tmp_path: Path) -> None:
    config = tmp_path / "two.yml"
    config.write_text("models:\n- {name: a, learn: {events: 100}}\n- {name: b, learn: {events: 100}}\n")
    with sidecar(tmp_path, config=config) as process:
        body = [event(model="a")] * 100 + [event(model="b")] * 30 + [event(), event(model="c")]
        document = post(process.url, body).json()
        assert (document["accepted"], document["rejected"]) == (130, 2)
        assert [(e["index"], e["path"]) for e in document["errors"]] == [(130, "$.model"), (131, "$.model")]
        after = samples(process.url)
        assert value(after, "model_predictions_total", model="a") == 100
        assert value(after, "model_predictions_total", model="b") == 30
        assert value(after, "model_sidecar_events_rejected_total", reason="unknown_model") == 2
        assert post(process.url, columns() | {"model": "b"}).json() == {"accepted": 2, "rejected": 0}
        models = get(process.url, "/drift").json()["models"]
        assert models["a"]["learning"] is None
        assert models["b"]["learning"] == {"events": 32, "of": 100}
        assert set(get(process.url, "/drift?model=a").json()["models"]) == {"a"}
