from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from model_sidecar_client import MonitorASGI, MonitorWSGI

from tests.client.support import EVENT
from tests.client.test_measurement import Recorded


@pytest.fixture
def client() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.close()


class Asgi:
    """An application that answers with a status, or raises, after or before it logs an event."""

    def __init__(self, client: Recorded, *, status: int = 200, logs: bool = True, raises: bool = False) -> None:
        self.client, self.status, self.logs, self.raises = client, status, logs, raises

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.logs:
            self.client.log(EVENT)
        if self.raises:
            raise ZeroDivisionError
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await send({"type": "http.response.body", "body": b"k"})
        self.events_when_answered = len(self.client.events)
        if self.logs:
            self.client.log({"background": 1.0})


async def asgi(app: Any, path: str = "/predict", kind: str = "http") -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": kind, "path": path}, None, send)
    return sent


async def test_asgi_gives_what_the_handler_logs_its_latency(client: Recorded) -> None:
    app = Asgi(client)
    sent = await asgi(MonitorASGI(app, client))
    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * 2]
    assert client.errors == [False, False]
    assert client.latencies[0] == client.latencies[1] >= 0


async def test_asgi_counts_a_server_error_and_an_exception(client: Recorded) -> None:
    await asgi(MonitorASGI(Asgi(client, status=503, logs=False), client))
    with pytest.raises(ZeroDivisionError):
        await asgi(MonitorASGI(Asgi(client, raises=True), client))
    await asgi(MonitorASGI(Asgi(client, status=404, logs=False), client))
    assert [(event[0], event[4]) for event in client.events] == [(None, True), (EVENT, True)]


@pytest.mark.parametrize(("path", "measured"), [("/predict", True), ("/models/a/infer", True), ("/health", False)])
async def test_only_chosen_routes_are_measured(client: Recorded, path: str, measured: bool) -> None:
    routes = ["/predict", "/models/*"]
    await asgi(MonitorASGI(Asgi(client, status=500, logs=False), client, routes=routes), path)
    wsgi(MonitorWSGI(Wsgi(client, status="500 Oh", logs=False), client, routes=routes), path)
    assert client.errors == [True, True] * measured


async def test_asgi_leaves_what_is_no_request_alone(client: Recorded) -> None:
    await asgi(MonitorASGI(Asgi(client), client), kind="websocket")
    assert client.latencies == [None, None]


class Wsgi:
    """An application that answers with a status, or raises, in the call or in the body."""

    def __init__(self, client: Recorded, *, status: str = "200 OK", logs: bool = True, raises: str = "") -> None:
        self.client, self.status, self.logs, self.raises = client, status, logs, raises
        self.closed = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.logs:
            self.client.log(EVENT)
        if self.raises == "call":
            raise ZeroDivisionError
        start_response(self.status, [("Content-Type", "text/plain")])
        return self._body()

    def _body(self) -> Iterator[bytes]:
        yield b"o"
        if self.raises == "body":
            raise ZeroDivisionError
        yield b"k"


def wsgi(app: Any, path: str = "/predict", *, script_name: str = "", query: str = "") -> bytes:
    environ: dict[str, Any] = {"SCRIPT_NAME": script_name, "PATH_INFO": path, "QUERY_STRING": query}
    setup_testing_defaults(environ)
    body: Any = validator(app)(environ, lambda *_: lambda _: None)
    try:
        return b"".join(body)
    finally:
        body.close()


def test_wsgi_gives_what_the_handler_logs_its_latency(client: Recorded) -> None:
    assert wsgi(MonitorWSGI(Wsgi(client), client)) == b"ok"
    assert client.errors == [False]
    assert client.latencies[0] >= 0
    client.log(EVENT)
    assert client.latencies[1] is None


@pytest.mark.parametrize("raises", ["call", "body"])
def test_wsgi_counts_exceptions(client: Recorded, raises: str) -> None:
    with pytest.raises(ZeroDivisionError):
        wsgi(MonitorWSGI(Wsgi(client, raises=raises), client))
    assert [(event[0], event[4]) for event in client.events] == [(EVENT, True)]


def test_wsgi_counts_server_errors_and_no_others(client: Recorded) -> None:
    wsgi(MonitorWSGI(Wsgi(client, status="500 Oh", logs=False), client))
    wsgi(MonitorWSGI(Wsgi(client, status="404 No", logs=False), client))
    assert [(event[0], event[4]) for event in client.events] == [(None, True)]
