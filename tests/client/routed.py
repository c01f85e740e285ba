"""Applications with others mounted in them, whose `/predict` and `/health` fail, for the servers of `test_routes`."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from model_sidecar_client import Client, MonitorASGI, MonitorWSGI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware

ROUTES = ["/predict"]


def starlette(client: Client, *, around: bool) -> Any:
    """Return an application with another at `/v1`; the middleware is `around` both, or in the inner one alone."""

    async def fail(request: Request) -> PlainTextResponse:
        if "logs" in request.query_params:
            client.log({"amount": 1.0})
        return PlainTextResponse("failed", status_code=500)

    inner: Any = Starlette(routes=[Route("/predict", fail), Route("/health", fail)])
    inner = inner if around else MonitorASGI(inner, client, routes=ROUTES)
    outer = Starlette(routes=[Mount("/v1", inner), Route("/predict", fail), Route("/health", fail)])
    return MonitorASGI(outer, client, routes=ROUTES) if around else outer


def werkzeug(client: Client, *, around: bool) -> Any:
    """Return the same for WSGI."""

    def fail(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("QUERY_STRING"):
            client.log({"amount": 1.0})
        start_response("500 Failed", [("Content-Type", "text/plain"), ("Content-Length", "6")])
        return [b"failed"]

    inner: Any = fail if around else MonitorWSGI(fail, client, routes=ROUTES)
    outer: Any = DispatcherMiddleware(fail, {"/v1": inner})
    return MonitorWSGI(outer, client, routes=ROUTES) if around else outer


if "SERVED_TARGET" in os.environ:
    served_client = Client(os.environ["SERVED_TARGET"], flush_seconds=60.0)
    asgi = starlette(served_client, around=True)
    wsgi = werkzeug(served_client, around=True)
