"""Middleware for ASGI (FastAPI, Starlette) and WSGI (Flask, Django): latency and errors of routes.

What the handler logs carries the latency of its request, and is an error where the answer is one.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, MutableMapping
from fnmatch import fnmatchcase
from typing import Any

from model_sidecar_client.client import Client
from model_sidecar_client.measurement import Measurement

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_ASGI = Callable[[_Message, _Receive, _Send], Awaitable[None]]
_WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_FIRST_ERROR_STATUS = 500


class MonitorASGI:
    """Measure requests to `routes`, patterns of paths such as `/predict` and `/models/*`; by default all."""

    def __init__(self, app: _ASGI, client: Client, *, routes: Collection[str] = ("*",)) -> None:
        self._app = app
        self._client = client
        self._routes = tuple(routes)

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not _chosen(scope["path"], self._routes):
            await self._app(scope, receive, send)
            return
        with self._client.measure() as measurement:

            async def watched(message: _Message) -> None:
                if message["type"] == "http.response.start" and message["status"] >= _FIRST_ERROR_STATUS:
                    measurement.fail()
                await send(message)
                if message["type"] == "http.response.body" and not message.get("more_body", False):
                    measurement.stop()  # tasks in the background are no longer the caller's wait

            await self._app(scope, receive, watched)


class MonitorWSGI:
    """Measure requests to `routes`, patterns of paths such as `/predict` and `/models/*`; by default all."""

    def __init__(self, app: _WSGI, client: Client, *, routes: Collection[str] = ("*",)) -> None:
        self._app = app
        self._client = client
        self._routes = tuple(routes)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if not _chosen(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), self._routes):
            return self._app(environ, start_response)
        measurement = self._client.measure()

        def watched(status: str, *arguments: Any) -> Any:
            if status[:3].isdecimal() and int(status[:3]) >= _FIRST_ERROR_STATUS:
                measurement.fail()
            return start_response(status, *arguments)

        measurement.__enter__()
        try:
            body = self._app(environ, watched)
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


def _chosen(path: str, routes: Iterable[str]) -> bool:
    return any(fnmatchcase(path, route) for route in routes)
