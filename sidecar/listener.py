"""A TCP listener whose TLS follows the web configuration: new certificates are served without a restart.

The listening socket stays open for as long as the process serves; what is replaced is the server on top of it, so that
nobody who connects in between is refused, and connections that are open go on as they are.
"""

import asyncio
import logging
import socket
from contextlib import suppress

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from sidecar.configfile import ConfigError
from sidecar.log import Log
from sidecar.webconfig import WebConfig

log = Log("sidecar.listener")

REFRESH_SECONDS = 5.0
_BACKLOG = 128

Address = tuple[str | None, int]
"""Host, None for every interface, and port."""


class Listener:
    """Serve an application at an address."""

    def __init__(self, runner: web.AppRunner, web_config: WebConfig) -> None:
        self._runner = runner
        self._web_config = web_config
        self._socket: socket.socket | None = None
        self._site: web.SockSite | None = None
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
        site = web.SockSite(self._runner, self._socket.dup(), ssl_context=self._web_config.ssl)
        await site.start()
        if self._site is not None:
            await self._site.stop()
        self._site = site

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self.refresh()


def log_mistakes_of_clients_in_short() -> None:
    """Log a request that is not HTTP as one warning, not as an error of ours with where it was found."""
    logging.getLogger("aiohttp.server").addFilter(_shorten)


def _shorten(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError):
        record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
        record.msg, record.args = "refused a request that is not HTTP: %s", (" ".join(str(error).split())[:200],)
    return True
