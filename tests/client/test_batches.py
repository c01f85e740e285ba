import socket
import struct
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from model_sidecar_client import Client

from tests.client.support import EVENT, Listening, client_to, counted, listening, total
from tests.plugins.serving import fraud_config, wait_until


@pytest.mark.parametrize("limit", ["body_bytes: 16KiB", "events_per_body: 70"])
def test_bodies_that_are_more_than_the_sidecar_takes_are_split(tmp_path: Path, limit: str) -> None:
    config = fraud_config(tmp_path, f"limits: {{{limit}}}\n")
    with listening(tmp_path, config=config) as running, client_to(running.targets["http"]) as client:
        for _ in range(500):
            client.log({"amount": 1.0, "merchant": "x" * 100})
        assert client.flush()
        assert client.stats().accepted == total(client.stats()) == 500
        assert counted(running.process.url, "http") == 500


class Busy(BaseHTTPRequestHandler):
    """Turns the first two bodies away, and keeps what it is sent."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        answer = b'{"accepted": 1, "rejected": 0}'
        self.send_response(503 if len(self.bodies) <= 2 else 202)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def test_a_body_that_is_turned_away_is_kept_and_sent_again() -> None:
    class Handler(Busy):
        bodies: list[bytes] = []  # noqa: RUF012  (of this test alone)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with client_to(f"http://127.0.0.1:{server.server_port}") as client:
            client.log({"a": 1})
            assert client.flush()
            assert client.stats().accepted == total(client.stats()) == 1
        server.shutdown()
    assert len(Handler.bodies) == 3
    [body] = set(Handler.bodies)
    assert msgspec.msgpack.decode(body) == {"columns": {"features": {"a": struct.pack("<d", 1)}}}


def test_a_few_events_in_a_row_are_one_body() -> None:
    class Handler(Busy):
        bodies: list[bytes] = []  # noqa: RUF012  (of this test alone)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with closing(Client(f"http://127.0.0.1:{server.server_port}", flush_seconds=60.0)) as client:
            for _ in range(20):
                client.log({"a": 1})
                time.sleep(0.005)  # time in which a thread that was woken too early would send it
            assert client.flush(30)
        server.shutdown()
    assert len(Handler.bodies) == 3
    [body] = set(Handler.bodies)
    assert msgspec.msgpack.decode(body) == {"columns": {"features": {"a": struct.pack("<20d", *[1] * 20)}}}


def test_a_steady_stream_is_sent_in_batches_without_being_woken(up: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Client(up.targets["http"], batch_events=50, flush_seconds=30.0)) as client:
        rouse = Mock(side_effect=client._delivery._rouse)
        send = Mock(side_effect=client._delivery._sender.send)
        monkeypatch.setattr(client._delivery, "_rouse", rouse)
        monkeypatch.setattr(client._delivery._sender, "send", send)
        for _ in range(2000):
            client.log(EVENT)
            time.sleep(0.0005)
        woken = rouse.call_count
        assert client.flush(30)
        assert client.stats().accepted == 2000
    sizes = [len(call.args[0]) for call in send.call_args_list]
    assert set(sizes[:-1]) == {50}
    assert woken < len(sizes) / 2


def test_what_comes_while_less_than_a_batch_is_sent_waits_for_a_batch(
    up: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Client(up.targets["http"], flush_seconds=30.0)) as client:
        sizes = []
        send = client._delivery._sender.send

        def send_slowly(events: Any) -> None:
            sizes.append(len(events))
            if len(sizes) <= 5:
                client.log(EVENT)
            send(events)

        monkeypatch.setattr(client._delivery._sender, "send", send_slowly)
        for _ in range(10):
            client.log(EVENT)
        assert client.flush(30)
        wait_until(lambda: client._delivery.more_at == client._delivery.wake_at)  # it waits again
        assert (sizes, client.stats().queued) == ([10], 1)


def test_a_body_without_an_answer_is_not_sent_twice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with closing(Client(f"http://127.0.0.1:{port}", timeout_seconds=0.1)) as client:
            client.log(EVENT)
            assert client.flush()
            assert client.stats().dropped == {"unanswered": 1}


def test_batches_of_one_are_sent_at_once(up: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_sidecar_client.pace._LONGEST_SECONDS", 3600.0)
    with closing(Client(up.targets["http"], batch_events=1, flush_seconds=3600.0)) as client:
        client.log(EVENT)
        wait_until(lambda: client.stats().accepted == 1)
        client.log(EVENT)
        wait_until(lambda: client.stats().accepted == 2)
