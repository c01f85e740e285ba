"""Requests of web pages of other origins change nothing, and a name that leads here by rebinding reads nothing."""

import json
from pathlib import Path

import pytest

from tests.plugins.serving import JSON, Start, connected, event, request, samples, value
from tests.reliability.load import UnixConnection
from tools.process import SidecarProcess

EVENT = json.dumps(event()).encode()
WRITES = {"/monitor": EVENT, "/labels": b'{"id": 1, "label": "fraud"}', "/-/reload": b""}
FOREIGN = [
    {"Origin": "http://evil.test"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1"},  # another port is another origin
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.test", "Sec-Fetch-Site": "none"},
]


@pytest.fixture
def process(start: Start, tmp_path: Path) -> SidecarProcess:
    stream = f"--ingest.unix-stream={tmp_path}/stream.sock"
    return start(options=["--web.enable-lifecycle", "--web.allowed-hosts=sidecar.internal, other.test", stream])


def refused(process: SidecarProcess, reason: str, listener: str = "ingest") -> float:
    found = samples(process.url)
    return value(found, "model_sidecar_requests_refused_total", listener=listener, reason=reason)


def counted(process: SidecarProcess) -> float:
    found = samples(process.url)
    return sum(
        v for (name, _), v in found.items() if name in ("model_sidecar_events_total", "model_sidecar_labels_total")
    )


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_what_a_page_of_another_origin_writes_is_refused_and_counted(
    process: SidecarProcess, headers: dict[str, str]
) -> None:
    for path, body in WRITES.items():
        answer = request(process.url, "POST", path, body, headers)
        assert answer.status == 403, path
        assert "web pages of other origins" in answer.json()["error"]
    assert counted(process) == 0
    assert "msg=reloaded" not in process.log.read_text()
    assert refused(process, "cross_site") == len(WRITES)
    assert process.log.read_text().count("msg=refused listener=ingest reason=cross_site") == 1


def test_the_pages_own_origin_and_programs_may_write(process: SidecarProcess) -> None:
    own = {"Origin": process.url, "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, own, {"Sec-Fetch-Site": "none"}, {"User-Agent": "curl/8"}):
        assert request(process.url, "POST", "/monitor", EVENT, {"Content-Type": JSON, **headers}).status == 202
        assert request(process.url, "POST", "/-/reload", b"", headers).status == 200
    assert counted(process) == 4


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "[::1]:80", "10.1.2.3:9", "LocalHost", "sidecar.internal:1"]
)
def test_a_listener_answers_to_addresses_and_to_the_names_it_was_given(process: SidecarProcess, host: str) -> None:
    assert request(process.url, "POST", "/monitor", EVENT, {"Host": host}).status == 202
    assert request(process.url, "GET", "/drift", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:8000", "localhost.evil.test", "127.0.0.1.evil.test", "[evil]", ""]
)
def test_a_foreign_name_neither_reads_nor_writes(process: SidecarProcess, host: str) -> None:
    for method, path in (
        ("POST", "/monitor"),
        ("POST", "/-/reload"),
        ("GET", "/drift"),
        ("GET", "/metrics"),
        ("GET", "/"),
    ):
        answer = request(process.url, method, path, EVENT if method == "POST" else None, {"Host": host})
        assert answer.status == 403, path
        assert "--web.allowed-hosts" in answer.json()["error"]
    assert counted(process) == 0
    assert refused(process, "host") == 5


def test_a_connection_that_was_plain_is_refused_once_it_is_not(process: SidecarProcess) -> None:
    plain = b"POST /monitor HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(EVENT), EVENT)
    page = plain.replace(b"Host: localhost", b"Host: localhost\r\nOrigin: http://evil.test")
    rebound = plain.replace(b"localhost", b"evil.test")
    for foreign in (page, rebound):
        with connected(process.url) as connection:
            connection.sendall(plain + foreign)
            received = b""
            while received.count(b"HTTP/1.1 ") < 2:
                received += connection.recv(65536)
            assert received.startswith(b"HTTP/1.1 202 ")
            assert b"HTTP/1.1 403 " in received


def test_a_unix_socket_has_any_name_and_refuses_pages_all_the_same(process: SidecarProcess, tmp_path: Path) -> None:
    connection = UnixConnection(tmp_path / "stream.sock")
    for headers, status in (({"Host": "anything.test"}, 202), ({"Origin": "http://evil.test"}, 403)):
        connection.request("POST", "/monitor", EVENT, headers)
        answer = connection.getresponse()
        assert answer.status == status
        answer.read()
    connection.close()
    assert refused(process, "cross_site", listener="unix_stream") == 1


def test_names_have_no_ports(start: Start) -> None:
    with pytest.raises(RuntimeError, match="is not a host name"):
        start(options=["--web.allowed-hosts=sidecar.internal:8000"])
