"""Service: builds every object of the receiver once, owns the clock, the signals and the listener."""

import asyncio
import signal
import socket
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import aiohttp
import uvloop
from aiohttp import web

from sidecar import __version__
from sidecar.base.configfile import ConfigError
from sidecar.base.log import Log
from sidecar.base.watch import Watch
from sidecar.http.connections import Bounds, Connections, allow_open_files, bounded_runner
from sidecar.http.tls_listener import Address, Listener, shorten_client_error_logs
from sidecar.http.webconfig import WebConfig
from sidecar.kubernetes.rollback import policy as policies
from sidecar.kubernetes.rollback.audit import Audit
from sidecar.kubernetes.rollback.cluster.manifests import Manifests
from sidecar.kubernetes.rollback.cluster.protocol import Cluster
from sidecar.kubernetes.rollback.executors.table import Executors
from sidecar.kubernetes.rollback.executors.webhook import HandOn
from sidecar.kubernetes.rollback.metrics import CONFIG_RELOAD_SUCCESSFUL, Metrics
from sidecar.kubernetes.rollback.policy import Rollback
from sidecar.kubernetes.rollback.respond import Responder
from sidecar.kubernetes.rollback.web import api
from sidecar.kubernetes.rollback.web.receiver import Receiver

log = Log("sidecar.rollback")

SHUTDOWN_SECONDS = 30.0
"""Time that an action in progress has to end after SIGTERM."""

_PROBES = frozenset({"/-/healthy", "/-/ready"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    config_file: Path
    web_address: Address
    web_config_file: Path | None
    kubernetes_mode: Literal["cluster", "none"]
    kubeconfig: Path | None
    context: str | None
    kubernetes_timeout_seconds: float
    objects_file: Path | None
    bounds: Bounds
    auto_reload_seconds: float | None = None


class Service:
    """Receive notifications until SIGTERM or SIGINT."""

    def __init__(self, options: Options) -> None:
        """Load everything; raises ConfigError."""
        self._options = options
        self._metrics = Metrics()
        self._watch = Watch([options.config_file])
        self._config = self._load()
        self._web_config = WebConfig(options.web_config_file)
        self._instance = f"{socket.gethostname()}/{uuid.uuid4().hex[:8]}"
        self._stopping = asyncio.Event()

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT; raises ConfigError, or OSError when the address cannot be bound."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        shorten_client_error_logs()
        async with AsyncExitStack() as stack:
            cluster = self._cluster()
            if cluster is not None:
                stack.push_async_callback(cluster.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            responder = Responder(
                self._config,
                cluster,
                Executors(HandOn(session)),
                instance=self._instance,
                now=lambda: datetime.now(UTC),
            )
            receiver = Receiver(
                responder,
                Audit(self._metrics, cluster),
                self._metrics,
                cluster,
                clock=time.monotonic,
                description=api.description(open_paths=_PROBES),
            )
            loop.add_signal_handler(signal.SIGHUP, self._reload, responder)
            await self._listen(receiver, stack)
            watching = asyncio.create_task(self._reload_changed(responder))
            await self._stopping.wait()
            log.info("stopping")
            watching.cancel()
            receiver.ready = False
        log.info("stopped")

    async def _listen(self, receiver: Receiver, stack: AsyncExitStack) -> None:
        guard = self._web_config.middleware(without_authentication=_PROBES)
        bounds = self._options.bounds
        connections = Connections(bounds, refused=self._metrics.refused_connection, makes_room=True)
        application = web.Application(middlewares=[connections.middleware(), guard])
        application.router.add_routes(receiver.routes())
        runner = await bounded_runner(application, bounds, stack, shutdown_seconds=SHUTDOWN_SECONDS, decompress=False)
        listener = Listener(runner, self._web_config, connections)
        stack.push_async_callback(listener.stop)
        address = await listener.start(self._options.web_address)
        self._tell(self._config)
        if not self._web_config.authenticates and self._options.web_address[0] not in ("127.0.0.1", "::1"):
            log.warning("anyone who reaches this address can send alerts: see --web.config.file", address=address)
        log.info("listening", address=address, version=__version__, instance=self._instance)

    def _cluster(self) -> Cluster | None:
        options = self._options
        if options.objects_file is not None:
            return Manifests(options.objects_file)
        if options.kubernetes_mode == "none":
            return None
        try:
            from sidecar.kubernetes.rollback.cluster import api as kubernetes
        except ImportError as error:
            raise ConfigError(f"{error}: install it with: pip install 'model-sidecar[rollback]'") from error
        return kubernetes.Kubernetes(
            kubernetes.configuration(options.kubeconfig, options.context),
            timeout_seconds=options.kubernetes_timeout_seconds,
            observe=self._metrics.requested,
        )

    def _load(self) -> Rollback:
        config = policies.load(self._options.config_file)
        if self._options.kubernetes_mode == "none":
            for i, policy in enumerate(config.policies):
                if not config.is_dry_run(policy):
                    told = "without Kubernetes there are only dry runs"
                    raise ConfigError(
                        f"{self._options.config_file}: policies[{i}].dry_run: False is not allowed: {told}"
                    )
        self._metrics.loaded(config, at=time.time())
        return config

    async def _reload_changed(self, responder: Responder) -> None:
        """Load changed policies again, once for each change, whether they turn out to be good or bad."""
        every_seconds = self._options.auto_reload_seconds
        while every_seconds is not None:
            await asyncio.sleep(every_seconds)
            if self._watch.changed():
                self._reload(responder)

    def _reload(self, responder: Responder) -> None:
        try:
            responder.config = self._load()
        except ConfigError as error:
            self._metrics.set(CONFIG_RELOAD_SUCCESSFUL, to=0)
            log.error("reload failed, going on as before", error=error)
            return
        log.info("reloaded")
        self._tell(responder.config)

    def _tell(self, config: Rollback) -> None:
        for policy in config.policies:
            mode = "dry run" if config.is_dry_run(policy) else "active"
            namespaces = ",".join(policy.namespaces)
            log.info("policy", policy=policy.name, action=policy.action, namespaces=namespaces, mode=mode)


def check(options: Options) -> int:
    """Load everything and say so; raises ConfigError."""
    Service(options)
    print(f"{options.config_file}: OK")
    return 0


def run(options: Options) -> int:
    """Serve and return the exit status; raises ConfigError or OSError before it serves."""

    async def serve() -> None:
        await Service(options).serve()

    allow_open_files()
    uvloop.run(serve())
    return 0
