"""Clients get the answers that they were promised, however they and the sidecar end a connection."""

import json
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.plugins.serving import Start, connected, event, fraud_config, post, samples, value
from tools.process import SidecarProcess

EVENT = json.dumps(event()).encode()
POST = b"POST /monitor HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(EVENT), EVENT)
GET = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"


def received(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_a_full_listener_answers_503_to_everyone_whatever_they_were_sending(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path), options=["--web.max-connections=3"])
    outcomes: list[object] = []

    def try_it() -> None:
        try:
            outcomes.append(post(process.url, EVENT + b" " * 2_000_000).status)
        except OSError as error:
            outcomes.append(type(error).__name__)

    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(process.url))
        post(process.url, EVENT)
        clients = [threading.Thread(target=try_it) for _ in range(100)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert outcomes == [503] * 100


@pytest.fixture
def process(start: Start, tmp_path: Path) -> SidecarProcess:
    return start(fraud_config(tmp_path), web=1)


@pytest.mark.parametrize(
    ("requests", "statuses"),
    [
        ([POST] * 20 + [GET], [202] * 20 + [200]),
        ([GET], [200]),
        ([GET, POST, GET, POST], [200, 202, 200, 202]),
        ([POST] * 3, [202] * 3),
    ],
)
def test_what_was_asked_before_the_clients_side_ended_is_answered(
    process: SidecarProcess, requests: list[bytes], statuses: list[int]
) -> None:
    with connected(process.url) as connection:
        connection.sendall(b"".join(requests))
        connection.shutdown(socket.SHUT_WR)
        answers = received(connection)
    assert [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]] == statuses
    found = samples(process.url)
    assert value(found, "model_sidecar_events_total", transport="http") == statuses.count(202)


def test_a_scrape_is_answered_on_the_network_listener_after_its_clients_side_ended(process: SidecarProcess) -> None:
    with connected(process.web_urls[0]) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        connection.shutdown(socket.SHUT_WR)
        answers = received(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.count(b"\n# TYPE model_sidecar_build_info") == 2


def test_a_body_whose_end_does_not_come_counts_as_refused(process: SidecarProcess) -> None:
    chunked = b"POST /monitor HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"
    for beginning in (POST[:-1], chunked):
        with connected(process.url) as connection:
            connection.sendall(beginning)
            connection.shutdown(socket.SHUT_WR)
            received(connection)
    found = samples(process.url)
    assert value(found, "model_sidecar_events_rejected_total", transport="http", reason="unreadable") == 2
