"""Listeners of a process: which it opens, what each serves, and how they close."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Middleware

from sidecar import __version__
from sidecar.base.log import Log
from sidecar.http.connections import Connections, ProtocolFactory, bounded_runner
from sidecar.http.half_close import half_closing
from sidecar.http.refused_requests import RefusedRequests
from sidecar.http.tls_listener import Address, Listener
from sidecar.http.web_pages import AllowedHosts, refuse_web_pages
from sidecar.http.webconfig import WebConfig
from sidecar.monitor.monitor import Monitor
from sidecar.serve.ingest.datagram import TRANSPORT as UNIX_DATAGRAM
from sidecar.serve.ingest.datagram import DatagramListener
from sidecar.serve.ingest.front import Front
from sidecar.serve.ingest.http import HTTP, UNIX_STREAM, Ingest
from sidecar.serve.ingest.stream import TcpSite, UnixStreamSite
from sidecar.serve.options import Options
from sidecar.serve.routes import LISTENER, PROBES, Reload, Web, description_routes, lifecycle_routes

log = Log("sidecar")

SHUTDOWN_SECONDS = 5.0

Site = web.BaseSite | Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What listeners serve. `refused_connections` counts those that a listener had no room for, by its name."""

    monitor: Monitor
    events: Ingest
    labels: Ingest
    web: Web
    reload: Reload
    clock: Callable[[], float]
    refused_connections: dict[str, int]
    refused_requests: RefusedRequests


class Listeners:
    """Open the listeners that the options name."""

    def __init__(self, options: Options, services: Services) -> None:
        self._options = options
        self._services = services

    async def open(self, stack: AsyncExitStack) -> list[Site]:
        """Open every listener. Sites are returned to be stopped first; the rest ends with the stack.

        Raises OSError where an address cannot be had.
        """
        options = self._options
        sites: list[Site] = []
        if options.unix_stream is not None:
            runner, protocol = await self._ingest_runner(UNIX_STREAM, UNIX_STREAM, stack)
            site = UnixStreamSite(runner, protocol, options.unix_stream, group=options.unix_group)
            await site.start()
            sites.append(site)
            log.info("listening", serves=UNIX_STREAM, path=options.unix_stream)
        if options.unix_datagram is not None:
            loop, services = asyncio.get_running_loop(), self._services
            datagrams = DatagramListener(
                services.monitor, services.clock, options.unix_datagram, group=options.unix_group
            )
            datagrams.start(loop)
            stack.callback(datagrams.stop, loop)
            log.info("listening", serves=UNIX_DATAGRAM, path=options.unix_datagram)
        sites.append(await self._start_ingest(options.ingest_address, stack))
        for address in options.web_addresses:
            sites.append(await self._start_web(address, stack))
        return sites

    async def _start_ingest(self, address: Address, stack: AsyncExitStack) -> web.BaseSite:
        named = [] if address[0] is None else [address[0]]
        hosts = AllowedHosts([*named, *self._options.allowed_hosts])
        runner, protocol = await self._ingest_runner(HTTP, "ingest", stack, hosts=hosts)
        site = TcpSite(runner, protocol, address)
        with _naming(address):
            await site.start()
        for bound in runner.addresses:
            shown = _shown(*bound[:2])
            log.info("listening", serves="ingest", address=shown, version=__version__, page=f"http://{shown}/")
            if not ip_address(bound[0].partition("%")[0]).is_loopback:
                log.warning(
                    "anyone who reaches this address may write events: keep --ingest.listen-address on loopback",
                    address=shown,
                )
        return site

    def _connections(self, listener: str, *, makes_room: bool) -> Connections:
        counts = self._services.refused_connections
        counts.setdefault(listener, 0)

        def refused() -> None:
            counts[listener] += 1

        return Connections(self._options.bounds, refused=refused, makes_room=makes_room)

    async def _start_web(self, address: Address, stack: AsyncExitStack) -> Listener:
        """Serve what is read-only, by the web configuration; each listener watches the file for itself."""
        web_config = WebConfig(self._options.web_config_file)
        guard = web_config.middleware(
            without_authentication=PROBES,
            busy=lambda request: self._services.refused_requests.count("web", "busy", request.path),
        )
        connections = self._connections("web", makes_room=True)
        self._services.refused_requests.open("web", ("busy",))
        application = self.web_application(connections.middleware(), guard)
        runner = await bounded_runner(application, self._options.bounds, stack, shutdown_seconds=SHUTDOWN_SECONDS)
        listener = Listener(runner, web_config, connections)
        with _naming(address):
            bound = await listener.start(address)
        log.info("listening", serves="web", address=bound, version=__version__)
        return listener

    def web_application(self, *middlewares: Middleware) -> web.Application:
        """Return what the network is served, which is read-only."""
        application = web.Application(middlewares=middlewares)
        application[LISTENER] = "web"
        application.router.add_routes(self._services.web.routes())
        application.router.add_routes(description_routes(self._describe_web))
        return application

    async def _ingest_runner(
        self, transport: str, listener: str, stack: AsyncExitStack, *, hosts: AllowedHosts | None = None
    ) -> tuple[web.AppRunner, ProtocolFactory]:
        """Return aiohttp's side of an ingest listener, and what its connections begin with."""
        services, bounds = self._services, self._options.bounds
        services.events.open(transport)
        services.labels.open(transport)
        guard = self._web_page_guard(listener, hosts)
        application = self.ingest_application(transport, guard)
        application[LISTENER] = listener
        runner = await bounded_runner(application, bounds, stack, shutdown_seconds=SHUTDOWN_SECONDS, decompress=False)
        assert runner.server is not None  # the runner is set up
        front = Front(
            services.events,
            transport,
            half_closing(runner.server),
            idle_seconds=bounds.read_timeout_seconds,
            hosts=hosts,
        )
        stack.callback(front.close)
        # No connection is closed to make room for another: clients of this listener are on this machine.
        return runner, self._connections(listener, makes_room=False).guard(front)

    def _web_page_guard(self, listener: str, hosts: AllowedHosts | None) -> Middleware:
        requests = self._services.refused_requests
        requests.open(listener, ("busy", "cross_site") if hosts is None else ("busy", "cross_site", "host"))
        return refuse_web_pages(partial(requests.count, listener), hosts=hosts)

    def ingest_application(self, transport: str, *middlewares: Middleware) -> web.Application:
        """Return what applications on this machine are served: everything."""
        services = self._services
        application = web.Application(client_max_size=services.events.limits.body_bytes, middlewares=middlewares)
        application.router.add_routes(
            [
                web.post("/monitor", services.events.handler(transport)),
                web.post("/labels", services.labels.handler(transport)),
                *services.web.routes(),
            ]
        )
        application.router.add_routes(lifecycle_routes(services.reload if self._options.enable_lifecycle else None))
        application.router.add_routes(description_routes(self._describe_ingest))
        return application

    # Few ask for a description, so that it is not kept; making one takes a millisecond or two.

    def _describe_web(self) -> bytes:
        from sidecar.serve.operations import web_description

        return web_description(telemetry_path=self._options.telemetry_path, open_paths=PROBES)

    def _describe_ingest(self) -> bytes:
        from sidecar.serve.operations import ingest_description

        return ingest_description(telemetry_path=self._options.telemetry_path)


@contextmanager
def _naming(address: Address) -> Iterator[None]:
    """Name the address in the error when it cannot be bound."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise OSError(f"cannot listen on {_shown(address[0] or '', address[1])}: {reason}") from error


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
