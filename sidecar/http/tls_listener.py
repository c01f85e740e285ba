"""A TCP listener whose TLS follows the web configuration: new certificates are served without a restart.

The listening socket stays open for as long as the process serves; what is replaced is the server on top of it, so that
nobody who connects in between is refused, and connections that are open go on as they are.
"""

import asyncio
import logging
import socket
import ssl
from contextlib import suppress

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from sidecar.base.configfile import ConfigError
from sidecar.base.log import Log
from sidecar.http.connections import HANDSHAKE_SECONDS, Connections
from sidecar.http.half_close import half_closing
from sidecar.http.webconfig import WebConfig

log = Log("sidecar.listener")

REFRESH_SECONDS = 5.0
_BACKLOG = 1024

Address = tuple[str | None, int]
"""Host, None for every interface, and port."""


class Listener:
    """Serve an application at an address."""

    def __init__(self, runner: web.AppRunner, web_config: WebConfig, connections: Connections) -> None:
        self._runner = runner
        self._web_config = web_config
        self._connections = connections
        self._socket: socket.socket | None = None
        self._site: web.BaseSite | None = None
        self._watching: asyncio.Task[None] | None = None
        self.problem: str | None = None

    async def start(self, address: Address) -> str:
        """Listen, and return the address as host and port; raises OSError."""
        host, port = address
        family = socket.AF_INET6 if host is None or ":" in host else socket.AF_INET
        dual = host is None and socket.has_dualstack_ipv6()
        if host is None and not dual:
            family = socket.AF_INET
        self._socket = socket.create_server(
            (host or "", port), family=family, backlog=_BACKLOG, dualstack_ipv6=dual, reuse_port=False
        )
        await self._serve()
        self._watching = asyncio.create_task(self._watch())
        bound_host, bound_port = self._socket.getsockname()[:2]
        return f"[{bound_host}]:{bound_port}" if ":" in bound_host else f"{bound_host}:{bound_port}"

    async def refresh(self) -> None:
        """Serve what the web configuration says now; a bad one is logged, and nothing changes."""
        try:
            changed = self._web_config.refresh()
        except ConfigError as error:
            self.problem = str(error)
            log.error("web configuration is bad, going on as before", error=error)
            return
        if changed:
            self.problem = None
            await self._serve()
            log.info("web configuration reloaded")

    async def stop(self) -> None:
        """Stop listening; requests that are being answered are left to the runner."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        if self._site is not None:
            await self._site.stop()
        if self._socket is not None:
            self._socket.close()

    async def _serve(self) -> None:
        assert self._socket is not None
        site = _Site(self._runner, self._socket.dup(), self._web_config.ssl, self._connections)
        await site.start()
        if self._site is not None:
            await self._site.stop()
        self._site = site

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self.refresh()


class _Site(web.BaseSite):
    """Serve on a socket that listens, with bounds on its connections."""

    def __init__(
        self,
        runner: web.AppRunner,
        listening: socket.socket,
        ssl_context: ssl.SSLContext | None,
        connections: Connections,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context, backlog=_BACKLOG)
        self._socket = listening
        self._connections = connections

    @property
    def name(self) -> str:
        """The URL."""
        scheme = "https" if self._ssl_context else "http"
        return "{}://{}:{}".format(scheme, *self._socket.getsockname()[:2])

    async def start(self) -> None:
        """Begin to take connections."""
        await super().start()
        serving = self._runner.server
        assert serving is not None  # the runner is set up
        self._server = await asyncio.get_running_loop().create_server(
            self._connections.guard(half_closing(serving)),
            sock=self._socket,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if self._ssl_context else None,
        )


def shorten_client_error_logs() -> None:
    """Log a request that is not HTTP as one warning, not as an error with a traceback."""
    logging.getLogger("aiohttp.server").addFilter(_shorten)


def _shorten(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError):
        record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
        record.msg, record.args = "refused a request that is not HTTP: %s", (" ".join(str(error).split())[:200],)
    return True
