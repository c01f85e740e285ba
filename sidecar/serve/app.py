"""The application: builds every object once, owns the clock, the signals and the tasks."""

import asyncio
import ctypes
import gc
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web
from aiohttp.typedefs import Middleware

from sidecar import __version__
from sidecar.base.configfile import ConfigError
from sidecar.base.log import Log
from sidecar.base.systemd import notify
from sidecar.base.watch import Watch
from sidecar.http.connections import Bounds, Connections, ProtocolFactory, allow_open_files, bounded_runner
from sidecar.http.tls_listener import Address, Listener, log_mistakes_of_clients_in_short
from sidecar.http.webconfig import WebConfig
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState, StorageState
from sidecar.reports.collector import Collector
from sidecar.serve.ingest.datagram import TRANSPORT as UNIX_DATAGRAM
from sidecar.serve.ingest.datagram import DatagramListener
from sidecar.serve.ingest.front import Front
from sidecar.serve.ingest.http import HTTP, UNIX_STREAM, Ingest
from sidecar.serve.ingest.labels import LabelIntake
from sidecar.serve.ingest.stream import TcpSite, UnixStreamSite
from sidecar.serve.load import files, load_all
from sidecar.serve.routes import PATHS, PROBES, Web, description_routes, lifecycle_routes
from sidecar.storage.clock import Clock

if TYPE_CHECKING:
    from sidecar.storage.store import Pace, Store

log = Log("sidecar")

FLUSH_SECONDS = 0.5
SHUTDOWN_SECONDS = 5.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of malloc.h
_MAPPED_BYTES, _KEPT_BYTES = 4 * 2**20, 6 * 2**20
"""Size from which memory goes back at once, and how much of the rest may wait to be used again.

To take it anew for every body of a megabyte or two would double what such bodies cost.
"""
_THREADS = 2
"""For compression and passwords. The C library gives each thread memory of its own, and does not take it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line of `serve` says. Addresses are host and port."""

    config_file: Path | None
    ingest_address: Address
    web_addresses: Sequence[Address]
    telemetry_path: str
    enable_lifecycle: bool
    bounds: Bounds
    auto_reload_seconds: float | None = None
    alertmanager_url: str | None = None
    unix_stream: Path | None = None
    unix_datagram: Path | None = None
    unix_group: str | None = None
    web_config_file: Path | None = None
    storage_path: Path | None = None
    storage_pace: "Pace | None" = None


class Application:
    """Serve until told to stop."""

    def __init__(self, options: Options) -> None:
        """Load everything; raises ConfigError or StorageError."""
        self._options = options
        if options.web_config_file is not None and not options.web_addresses:
            raise ConfigError("--web.config.file: it is for --web.listen-address, of which there is none")
        if options.telemetry_path in PATHS:
            raise ConfigError(f"--web.telemetry-path: {options.telemetry_path!r} is taken: choose another path")
        if options.auto_reload_seconds is not None and options.config_file is None:
            raise ConfigError("--config.auto-reload-interval: it is for --config.file, of which there is none")
        self._watch = Watch(files(options.config_file) if options.config_file is not None else [])
        config, profiles = load_all(options.config_file)
        self._clock = Clock()
        self._store: Store | None = None
        storage = None
        if options.storage_path is None:
            self._monitor = Monitor(config, profiles, now=self._clock(), start=self._clock.time_of_day())
        else:
            storage = StorageState()
            self._store = _store(options.storage_path, self._clock, storage, options.storage_pace)
            self._monitor = self._store.begin(config, profiles)
        self._load = LoadState(last_success_timestamp_seconds=time.time())
        self._refused_connections: dict[str, int] = {}
        self._ingest = Ingest(self._monitor, config.limits, self._clock)
        self._label_ingest = Ingest(LabelIntake(self._monitor), config.limits, self._clock)
        self._web = Web(
            self._monitor,
            Collector(self._monitor, self._load, storage, refused_connections=self._refused_connections),
            self._load,
            self._clock,
            telemetry_path=options.telemetry_path,
            alertmanager_url=options.alertmanager_url,
            storage=storage,
        )
        self._stopping = asyncio.Event()

    async def serve(self) -> None:
        """Listen, and go on until SIGTERM or SIGINT; raises OSError where an address cannot be had."""
        loop, options = asyncio.get_running_loop(), self._options
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        loop.set_default_executor(ThreadPoolExecutor(_THREADS))
        log_mistakes_of_clients_in_short()
        async with AsyncExitStack() as stack:
            sites = await self._listen(stack)
            for name, model in self._monitor.models.items():
                reference = "learning" if model.learner else model.config.reference or "learned"
                log.info("watching", model=name, reference=reference)
            regular = [asyncio.create_task(self._look_regularly())]
            if self._store is not None:
                regular.append(asyncio.create_task(self._store.run()))
            if options.config_file is not None and options.auto_reload_seconds is not None:
                regular.append(
                    asyncio.create_task(self._reload_changed(options.config_file, options.auto_reload_seconds))
                )
            gc.collect()
            gc.freeze()  # what is there now stays, and need not be looked at again and again
            _c_library("malloc_trim", 0)
            notify("READY=1")
            await self._stopping.wait()
            notify("STOPPING=1")
            log.info("stopping")
            self._web.ready = False
            for task in regular:
                task.cancel()
            for site in sites:
                await site.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(SHUTDOWN_SECONDS):
                    await asyncio.gather(self._ingest.drain(), self._label_ingest.drain())
        self._monitor.flush(now=self._clock())
        if self._store is not None:
            await self._store.close()
        events = sum(model.traffic.events for model in self._monitor.models.values())
        log.info("stopped", events=events)

    async def _listen(self, stack: AsyncExitStack) -> list[web.BaseSite | Listener]:
        """Open every listener. Sites are returned to be stopped first; the rest ends with the stack."""
        options = self._options
        sites: list[web.BaseSite | Listener] = []
        if options.unix_stream is not None:
            runner, protocol = await self._ingest_runner(UNIX_STREAM, UNIX_STREAM, stack)
            site = UnixStreamSite(runner, protocol, options.unix_stream, group=options.unix_group)
            await site.start()
            sites.append(site)
            log.info("listening", serves=UNIX_STREAM, path=options.unix_stream)
        if options.unix_datagram is not None:
            loop = asyncio.get_running_loop()
            datagrams = DatagramListener(self._monitor, self._clock, options.unix_datagram, group=options.unix_group)
            datagrams.start(loop)
            stack.callback(datagrams.stop, loop)
            log.info("listening", serves=UNIX_DATAGRAM, path=options.unix_datagram)
        sites.append(await self._start_ingest(options.ingest_address, stack))
        for address in options.web_addresses:
            sites.append(await self._start_web(address, stack))
        return sites

    async def _start_ingest(self, address: Address, stack: AsyncExitStack) -> web.BaseSite:
        runner, protocol = await self._ingest_runner(HTTP, "ingest", stack)
        site = TcpSite(runner, protocol, address)
        with _naming(address):
            await site.start()
        for bound in runner.addresses:
            log.info("listening", serves="ingest", address=_shown(*bound[:2]), version=__version__)
        return site

    def _connections(self, listener: str, *, makes_room: bool) -> Connections:
        counts = self._refused_connections
        counts.setdefault(listener, 0)

        def refused() -> None:
            counts[listener] += 1

        return Connections(self._options.bounds, refused=refused, makes_room=makes_room)

    async def _start_web(self, address: Address, stack: AsyncExitStack) -> Listener:
        """Serve what is read-only, by the web configuration; each listener watches the file for itself."""
        web_config = WebConfig(self._options.web_config_file)
        guard = web_config.middleware(without_authentication=PROBES)
        connections = self._connections("web", makes_room=True)
        application = self._web_application(connections.middleware(), guard)
        runner = await bounded_runner(application, self._options.bounds, stack, shutdown_seconds=SHUTDOWN_SECONDS)
        listener = Listener(runner, web_config, connections)
        with _naming(address):
            bound = await listener.start(address)
        log.info("listening", serves="web", address=bound, version=__version__)
        return listener

    def _web_application(self, *middlewares: Middleware) -> web.Application:
        application = web.Application(middlewares=middlewares)
        application.router.add_routes(self._web.routes())
        application.router.add_routes(description_routes(self._describe_web))
        return application

    async def _ingest_runner(
        self, transport: str, listener: str, stack: AsyncExitStack
    ) -> tuple[web.AppRunner, ProtocolFactory]:
        """Return aiohttp's side of an ingest listener, and what its connections begin with."""
        self._ingest.open(transport)
        self._label_ingest.open(transport)
        application, bounds = self._ingest_application(transport), self._options.bounds
        runner = await bounded_runner(application, bounds, stack, shutdown_seconds=SHUTDOWN_SECONDS)
        assert runner.server is not None  # the runner is set up
        front = Front(self._ingest, transport, runner.server, idle_seconds=bounds.read_timeout_seconds)
        stack.callback(front.close)
        # Nobody's connection is closed for the sake of others: those who come here are of this machine.
        return runner, self._connections(listener, makes_room=False).guard(front)

    def _ingest_application(self, transport: str) -> web.Application:
        application = web.Application(client_max_size=self._ingest.limits.body_bytes)
        application.router.add_routes(
            [
                web.post("/monitor", self._ingest.handler(transport)),
                web.post("/labels", self._label_ingest.handler(transport)),
                *self._web.routes(),
            ]
        )
        application.router.add_routes(lifecycle_routes(self.reload if self._options.enable_lifecycle else None))
        application.router.add_routes(description_routes(self._describe_ingest))
        return application

    # Few ask for a description, so that it is not kept; making one takes a millisecond or two.

    def _describe_web(self) -> bytes:
        from sidecar.serve.operations import web_description

        return web_description(telemetry_path=self._options.telemetry_path, open_paths=PROBES)

    def _describe_ingest(self) -> bytes:
        from sidecar.serve.operations import ingest_description

        return ingest_description(telemetry_path=self._options.telemetry_path)

    async def _look_regularly(self) -> None:
        """Count what waits, by the time of day that it is now."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            now = self._clock()
            step = self._monitor.set_time_of_day(self._clock.time_of_day(), now=now)
            if step:
                log.warning("the time of day was set", by_seconds=round(step / timedelta(seconds=1), 3))
            self._monitor.flush(now=now)

    async def _reload_changed(self, config_file: Path, every_seconds: float) -> None:
        """Load again what has changed, once for each change, whether it turns out to be good or bad."""
        while True:
            await asyncio.sleep(every_seconds)
            if changed := self._watch.changed():
                log.info("files have changed", files=",".join(map(str, changed)))
                # Before they are read, so that what changes meanwhile is noticed the next time.
                self._watch.follow(files(config_file))
                self.reload()

    def reload(self) -> str | None:
        """Load configuration and references again, keeping the old ones if the new are bad; returns what is wrong."""
        try:
            config, profiles = load_all(self._options.config_file)
        except ConfigError as error:
            self._load.successful = False
            log.error("reload failed, going on as before", error=error)
            return str(error)
        self._monitor.reconfigure(config, profiles, now=self._clock())
        self._ingest.limits = self._label_ingest.limits = config.limits
        self._load.successful = True
        self._load.last_success_timestamp_seconds = time.time()
        log.info("reloaded", models=",".join(profiles))
        return None


@contextmanager
def _naming(address: Address) -> Iterator[None]:
    """Name the address in the error of who cannot have it."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise OSError(f"cannot listen on {_shown(address[0] or '', address[1])}: {reason}") from error


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _store(path: Path, clock: Clock, state: StorageState, pace: "Pace | None") -> "Store":
    from sidecar.storage.store import Pace, Store  # here, to spare those without it its memory

    return Store(path, clock, state, pace or Pace())


def _give_memory_back() -> None:
    """Have the C library return freed memory sooner and share one arena among threads."""
    for option, value in ((_M_MMAP_THRESHOLD, _MAPPED_BYTES), (_M_TRIM_THRESHOLD, _KEPT_BYTES), (_M_ARENA_MAX, 1)):
        _c_library("mallopt", option, value)


def _c_library(function: str, *arguments: int) -> None:
    """Call a function of glibc; others do without."""
    found = getattr(ctypes.CDLL(None), function, None)
    if found is not None:
        found(*arguments)


def run(options: Options) -> int:
    """Serve and return the exit status; raises ConfigError or OSError before it serves."""
    _give_memory_back()

    async def serve() -> None:
        await Application(options).serve()

    allow_open_files()
    uvloop.run(serve())
    return 0
