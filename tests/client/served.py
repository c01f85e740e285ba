"""An application that logs one event a request, for the servers of `test_servers`.

The environment says how: SERVED_TARGET is the client's target, SERVED_AT_IMPORT logs an event when it is imported,
SERVED_AT_SHUTDOWN one when the server tells it to shut down, SERVED_WITHOUT_SIGTERM leaves SIGTERM to the server.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from model_sidecar_client import Client, MonitorASGI

# A minute: what arrives sooner was sent by the end of the process, not because it was time.
client = Client(
    os.environ["SERVED_TARGET"],
    flush_seconds=float(os.environ.get("SERVED_FLUSH_SECONDS", "60")),
    sigterm="SERVED_WITHOUT_SIGTERM" not in os.environ,
)
if "SERVED_AT_IMPORT" in os.environ:
    client.log({"amount": 1.0})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    client.log({"amount": 1.0})
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and "SERVED_AT_SHUTDOWN" in os.environ:
                client.log({"amount": 1.0})
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    client.log({"amount": 1.0})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


measured = MonitorASGI(asgi, client)
