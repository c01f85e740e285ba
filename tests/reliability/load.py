"""Load that knows what was acknowledged, and what nobody can know about."""

import http.client
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tests.plugins.serving import JSON, MSGPACK, NDJSON, TIMEOUT_SECONDS, event


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))


def over_tcp(url: str) -> Callable[[], http.client.HTTPConnection]:
    return lambda: http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)


def over_unix(path: Path) -> Callable[[], http.client.HTTPConnection]:
    return lambda: UnixConnection(path)


def body(form: str, events: int) -> bytes:
    """Return a body of so many events, every one with all features and a latency."""
    if form == MSGPACK:
        columns = {"amount": [12.5] * events, "merchant": ["visa"] * events}
        rest = {"prediction": ["fraud"] * events, "probability": [0.5] * events, "latency_ms": [0.1] * events}
        return msgspec.msgpack.encode({"columns": {"features": columns, **rest}})
    text = json.dumps(event(latency_ms=0.1)).encode()
    return b"\n".join([text] * events)


class Sender(threading.Thread):
    """Send one body after the other on a connection, until the other side is gone or it is told to stop."""

    def __init__(
        self, transport: str, connect: Callable[[], http.client.HTTPConnection], form: str = JSON, events: int = 1
    ) -> None:
        super().__init__()
        self.transport = transport
        self._connect = connect
        self._form = form
        self._events = events
        self._stop_it = threading.Event()
        self.acknowledged = 0
        self.unanswered = 0
        """Events of the body that was sent and not answered: they may count or not, all or none."""

    def run(self) -> None:
        content, headers = body(self._form, self._events), {"Content-Type": self._form}
        connection = self._connect()
        try:
            while not self._stop_it.is_set():
                self.unanswered = self._events
                connection.request("POST", "/monitor", content, headers)
                answer = connection.getresponse()
                # The status is the word: what follows may be cut off by the kill.
                if answer.status == 202:
                    self.acknowledged += self._events
                    self.unanswered = 0
                assert answer.status == 202, answer.read()
                answer.read()
        except (OSError, http.client.HTTPException):
            pass  # killed
        finally:
            connection.close()

    def stop(self) -> None:
        self._stop_it.set()
        self.join(TIMEOUT_SECONDS)
        assert not self.is_alive()


def senders(url: str, unix_stream: Path) -> list[Sender]:
    """Return one of each form and way."""
    return [
        Sender("http", over_tcp(url)),
        Sender("http", over_tcp(url), NDJSON, 7),
        Sender("http", over_tcp(url), MSGPACK, 5),
        Sender("unix_stream", over_unix(unix_stream)),
        Sender("unix_stream", over_unix(unix_stream), NDJSON, 3),
    ]
