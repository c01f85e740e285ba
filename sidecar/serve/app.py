"""The application: builds every object once, owns the clock, the signals and the tasks."""

import asyncio
import gc
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import uvloop

from sidecar.base import allocator
from sidecar.base.log import Log
from sidecar.base.systemd import notify
from sidecar.base.watch import Watch
from sidecar.http.connections import allow_open_files
from sidecar.http.refused_requests import RefusedRequests
from sidecar.http.tls_listener import shorten_client_error_logs
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState, StorageState
from sidecar.reports.collector import Collector
from sidecar.serve.ingest.http import Ingest
from sidecar.serve.ingest.labels import LabelIntake
from sidecar.serve.ingest.turns import Turns
from sidecar.serve.listeners import SHUTDOWN_SECONDS, Listeners, Services
from sidecar.serve.load import Loaded, files, load_all
from sidecar.serve.options import Options
from sidecar.serve.reload import Reloader
from sidecar.serve.routes import LISTENER, Web
from sidecar.storage.clock import Clock

if TYPE_CHECKING:
    from sidecar.storage.store import Store

log = Log("sidecar")

FLUSH_SECONDS = 0.5
_THREADS = 2
"""For compression and checkpoints. The C library gives each thread memory of its own, and does not take it back."""


class Application:
    """Serve until SIGTERM or SIGINT."""

    def __init__(self, options: Options) -> None:
        """Load everything; raises ConfigError or StorageError."""
        options.check()
        self._options = options
        watch = Watch(files(options.config_file) if options.config_file is not None else [])
        loaded = load_all(options.config_file)
        self._clock = Clock()
        self._store: Store | None = None
        storage = None if options.storage_path is None else StorageState()
        self._monitor = self._begin(loaded, storage)
        load_state = LoadState(last_success_timestamp_seconds=time.time())
        limits = loaded[0].limits
        refused_connections, refused_requests = dict[str, int](), RefusedRequests(self._clock)
        turns = Turns()
        self._ingest = Ingest(self._monitor, limits, self._clock, turns)
        self._label_ingest = Ingest(LabelIntake(self._monitor), limits, self._clock, turns)
        self._reloader = Reloader(
            options.config_file,
            watch,
            monitor=self._monitor,
            ingests=(self._ingest, self._label_ingest),
            state=load_state,
            clock=self._clock,
        )
        self._web = Web(
            self._monitor,
            Collector(
                self._monitor,
                load_state,
                storage,
                refused_connections=refused_connections,
                refused_requests=refused_requests.counts,
            ),
            load_state,
            self._clock,
            telemetry_path=options.telemetry_path,
            refused=lambda request: refused_requests.count(request.app[LISTENER], "busy", request.path),
            alertmanager_url=options.alertmanager_url,
            storage=storage,
        )
        services = Services(
            monitor=self._monitor,
            events=self._ingest,
            labels=self._label_ingest,
            web=self._web,
            reload=self._reloader.reload,
            clock=self._clock,
            refused_connections=refused_connections,
            refused_requests=refused_requests,
        )
        self.listeners = Listeners(options, services)
        self._stopping = asyncio.Event()

    def _begin(self, loaded: Loaded, storage: StorageState | None) -> Monitor:
        """Return the monitor, with the counts that were kept where there is storage."""
        config, profiles = loaded
        path, pace = self._options.storage_path, self._options.storage_pace
        if path is None or storage is None:
            return Monitor(config, profiles, now=self._clock(), start=self._clock.time_of_day())
        from sidecar.storage.store import Store  # here, to spare those without storage its memory

        self._store = Store(path, self._clock, storage, pace)
        return self._store.begin(config, profiles)

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT; raises OSError when an address cannot be bound."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.reload)
        loop.set_default_executor(ThreadPoolExecutor(_THREADS))
        shorten_client_error_logs()
        async with AsyncExitStack() as stack:
            sites = await self.listeners.open(stack)
            for name, model in self._monitor.models.items():
                reference = "learning" if model.learner else model.config.reference or "learned"
                wanted = {"from_events": model.learner.wanted_rows} if model.learner else {}
                log.info("watching", model=name, reference=reference, **wanted)
            tasks = self._start_tasks()
            gc.collect()
            gc.freeze()  # what is there now stays, and need not be looked at again and again
            allocator.trim()
            notify("READY=1")
            await self._stopping.wait()
            notify("STOPPING=1")
            log.info("stopping")
            self._web.ready = False
            for task in tasks:
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

    def _start_tasks(self) -> list[asyncio.Task[None]]:
        """Begin what is done regularly, until it is cancelled."""
        options = self._options
        tasks = [asyncio.create_task(self._look_regularly())]
        if self._store is not None:
            tasks.append(asyncio.create_task(self._store.run()))
        if options.config_file is not None and options.auto_reload_seconds is not None:
            following = self._reloader.follow(options.config_file, options.auto_reload_seconds)
            tasks.append(asyncio.create_task(following))
        return tasks

    def _learning(self) -> set[str]:
        return {name for name, model in self._monitor.models.items() if model.learner is not None}

    async def _look_regularly(self) -> None:
        """Count buffered events, by the current time of day."""
        learning: set[str] = set()
        while True:
            before, learning = learning, self._learning()
            for name in before - learning:
                model = self._monitor.models.get(name)
                if model is not None and model.comparison is not None:
                    profile = model.comparison.profile
                    log.info("learned the reference", model=name, events=profile.rows, reference=profile.fingerprint)
            await asyncio.sleep(FLUSH_SECONDS)
            now = self._clock()
            step = self._monitor.set_time_of_day(self._clock.time_of_day(), now=now)
            if step:
                log.warning("the time of day was set", by_seconds=round(step / timedelta(seconds=1), 3))
            self._monitor.flush(now=now)


def run(options: Options) -> int:
    """Serve and return the exit status; raises ConfigError or OSError before it serves."""
    allocator.return_memory_sooner()

    async def serve() -> None:
        await Application(options).serve()

    allow_open_files()
    uvloop.run(serve())
    return 0
