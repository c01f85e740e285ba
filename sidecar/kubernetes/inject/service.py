"""Service: builds every object of the injector once, owns the clock, the signals and the listener."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop
from aiohttp import web

from sidecar import __version__
from sidecar.base.log import Log
from sidecar.exposition.negotiation import exposition
from sidecar.http.connections import Bounds, Connections, allow_open_files, bounded_runner
from sidecar.http.tls_listener import Address, Listener, shorten_client_error_logs
from sidecar.http.webconfig import WebConfig
from sidecar.kubernetes.inject import settings as sites
from sidecar.kubernetes.inject.metrics import Metrics
from sidecar.kubernetes.inject.outcome import SILENT
from sidecar.kubernetes.inject.review import Reviewed, Unreadable, review
from sidecar.kubernetes.inject.settings import Settings

log = Log("sidecar.inject")

BODY_BYTES = 4 * 2**20
"""The API server takes no object of more than 3 MiB."""

PATH = "/mutate"
SHUTDOWN_SECONDS = 10.0

_PROBES = frozenset({"/-/healthy", "/-/ready"})
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    config_file: Path | None
    web_address: Address
    web_config_file: Path | None
    linger_seconds: float
    bounds: Bounds


class Service:
    """Answer admission reviews until SIGTERM or SIGINT."""

    def __init__(self, options: Options) -> None:
        """Load everything; raises ConfigError."""
        self._options = options
        self._settings: Settings = sites.load(options.config_file)
        self._web_config = WebConfig(options.web_config_file)
        self._metrics = Metrics()
        self._stopping = asyncio.Event()

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT; raises OSError when the address cannot be bound."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        shorten_client_error_logs()
        async with AsyncExitStack() as stack:
            guard = self._web_config.middleware(without_authentication=_PROBES)
            bounds = self._options.bounds
            connections = Connections(bounds, refused=self._metrics.refused_connection, makes_room=True)
            application = web.Application(client_max_size=BODY_BYTES, middlewares=[connections.middleware(), guard])
            application.router.add_routes(self._routes())
            runner = await bounded_runner(application, bounds, stack, shutdown_seconds=SHUTDOWN_SECONDS)
            listener = Listener(runner, self._web_config, connections)
            stack.push_async_callback(listener.stop)
            address = await listener.start(self._options.web_address)
            if self._web_config.ssl is None:
                log.warning("without TLS the API server does not come: see --web.config.file", address=address)
            log.info("listening", address=address, version=__version__, image=self._settings.image)
            await self._stopping.wait()
            # The API server sends reviews until the endpoint is removed everywhere; refused ones are not injected.
            log.info("stopping", linger_seconds=self._options.linger_seconds)
            await asyncio.sleep(self._options.linger_seconds)
        log.info("stopped")

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.post(PATH, self._mutate),
            web.get("/metrics", self._scrape),
            web.get("/-/healthy", self._healthy),
            web.get("/-/ready", self._readiness),
        ]

    async def _mutate(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(413, f"the body is larger than {BODY_BYTES} bytes")
        except (web.RequestPayloadError, ConnectionError):
            return self._refuse(400, "the body was cut short, or is not what Content-Encoding says")
        began = time.perf_counter()
        try:
            reviewed = review(body, self._settings)
        except Unreadable as error:
            return self._refuse(400, f"no admission review: {error}")
        seconds = time.perf_counter() - began
        self._metrics.reviewed(reviewed.outcome, warnings=len(reviewed.warnings), seconds=seconds)
        _tell(reviewed)
        return web.Response(body=reviewed.answer, headers=_JSON)

    def _refuse(self, status: int, reason: str) -> web.Response:
        self._metrics.refused(status)
        log.warning("refused", status=status, reason=reason)
        return web.Response(status=status, text=f"{reason}\n")

    async def _scrape(self, request: web.Request) -> web.Response:
        text, content_type = self._metrics.expose(request.headers.get("Accept", ""))
        return await exposition(request, text, content_type)

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="model-sidecar inject is healthy.\n")

    async def _readiness(self, request: web.Request) -> web.Response:
        if self._stopping.is_set():
            return web.Response(status=503, text="model-sidecar inject is stopping.\n")
        return web.Response(text="model-sidecar inject is ready.\n")


def _tell(reviewed: Reviewed) -> None:
    fields = {**reviewed.about, "outcome": reviewed.outcome.value}
    if reviewed.warnings:
        log.warning("reviewed", **fields, told="; ".join(reviewed.warnings))
    elif reviewed.outcome not in SILENT or reviewed.outcome.value == "patched":
        log.info("reviewed", **fields)


def check(options: Options) -> int:
    """Load everything and say so; raises ConfigError."""
    Service(options)
    print(f"{options.config_file or 'the defaults'}: OK")
    return 0


def run(options: Options) -> int:
    """Serve and return the exit status; raises ConfigError or OSError before it serves."""

    async def serve() -> None:
        await Service(options).serve()

    allow_open_files()
    uvloop.run(serve())
    return 0
