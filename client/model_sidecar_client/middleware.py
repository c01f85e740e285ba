"""Middleware for ASGI (FastAPI, Starlette) and WSGI (Flask, Django): latency and errors of requests.

What the handler logs carries the latency of its request, and is an error where the answer is one. Where it logs
nothing, a failure of one of the routes is an error, and all else is nothing.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, MutableMapping
from typing import Any

from model_sidecar_client.client import Client
from model_sidecar_client.measurement import Measurement
from model_sidecar_client.processes.sigterm import EXIT_SECONDS
from model_sidecar_client.routes import Routes, asgi_paths, wsgi_paths

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_ASGI = Callable[[_Message, _Receive, _Send], Awaitable[None]]
_WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_FIRST_ERROR_STATUS = 500


class MonitorASGI:
    """Measure every request; `routes` are patterns of paths, such as `/predict` and `/models/*`, by default all.

    A path is the application's own, or the whole one with root path or script name. Failures of other paths count
    only where their handlers logged something.
    """

    def __init__(self, app: _ASGI, client: Client, *, routes: Collection[str] = ("*",)) -> None:
        self._app = app
        self._client = client
        self._routes = Routes(routes)
        client.also_ask(self._routes.problem)

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer a request; at the end of the application, send what is queued."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._flushing(send))
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        paths = [*asgi_paths(scope)]
        with self._client.measure() as measurement:

            async def watched(message: _Message) -> None:
                if message["type"] == "http.response.start" and message["status"] >= _FIRST_ERROR_STATUS:
                    measurement.fail()
                await send(message)
                if message["type"] == "http.response.body" and not message.get("more_body", False):
                    measurement.stop()  # tasks in the background are no longer the caller's wait

            try:
                await self._app(scope, receive, watched)
            finally:  # by now, the application that was mounted there has added its prefix to the root path
                measurement.alone = self._routes.match([*paths, *asgi_paths(scope)])

    def _flushing(self, send: _Send) -> _Send:
        async def flush_and_send(message: _Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                self._client.flush(EXIT_SECONDS)  # some servers end the process by a signal after this
            await send(message)

        return flush_and_send


class MonitorWSGI:
    """Measure every request; `routes` are as those of `MonitorASGI`."""

    def __init__(self, app: _WSGI, client: Client, *, routes: Collection[str] = ("*",)) -> None:
        self._app = app
        self._client = client
        self._routes = Routes(routes)
        client.also_ask(self._routes.problem)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        paths = [*wsgi_paths(environ)]
        measurement = self._client.measure()

        def watched(status: str, *arguments: Any) -> Any:
            if status[:3].isdecimal() and int(status[:3]) >= _FIRST_ERROR_STATUS:
                measurement.fail()
            return start_response(status, *arguments)

        measurement.__enter__()
        try:
            try:
                body = self._app(environ, watched)
            finally:  # by now, the application that was mounted there has moved its prefix to the script name
                measurement.alone = self._routes.match([*paths, *wsgi_paths(environ)])
        except BaseException as error:
            measurement.__exit__(type(error), error, error.__traceback__)
            raise
        measurement.leave()
        return _Body(body, measurement)


class _Body:
    """The body of an answer, which ends the measurement."""

    def __init__(self, body: Iterable[bytes], measurement: Measurement) -> None:
        self._body = body
        self._measurement = measurement

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except Exception:
            self._measurement.fail()
            raise

    def close(self) -> None:
        """Close the body, as the server does at the end of every request."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._measurement.finish()
