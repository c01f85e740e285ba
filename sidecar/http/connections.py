"""Bound what connections take: how many a listener keeps, how long they may be idle, and how long answers may wait.

A gate stands before the protocol of every connection and steps aside once the connection is let in, so that requests
cost nothing more. What is bounded is the same whatever protocol comes after it.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Middleware

from sidecar.http.lingering import Lingering

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ProtocolFactory = Callable[[], asyncio.Protocol]

HANDSHAKE_SECONDS = 10.0
"""How long a TLS handshake may take."""

_LINGERING_SECONDS = 5.0
"""How long the rest of a body that was answered already is waited for."""

_LOOK_SECONDS = 5.0
_FLOOD_SECONDS = 0.1
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Connections that a listener keeps at once, and seconds without progress after which one is closed."""

    connections: int = 512
    read_timeout_seconds: float = 300.0


async def bounded_runner(
    application: web.Application,
    bounds: Bounds,
    stack: AsyncExitStack,
    *,
    shutdown_seconds: float,
    decompress: bool = True,
) -> web.AppRunner:
    """Return the set-up runner of an application whose connections may be idle as long as the bounds say.

    It ends with the stack; what is being answered then has `shutdown_seconds` to end. Without `decompress` handlers
    get bodies as they were sent: see `content_coding`.
    """
    # What aiohttp calls keep-alive is the time from an answer, or from the beginning, to the end of the next head.
    idle_seconds = bounds.read_timeout_seconds
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=shutdown_seconds,
        keepalive_timeout=idle_seconds,
        lingering_time=min(_LINGERING_SECONDS, idle_seconds),
        auto_decompress=decompress,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


class Connections:
    """The open connections of a listener.

    Past the bound a new one is refused with 503; or, where the listener `makes_room`, the one that has been idle for
    longest is closed instead, so that who holds connections keeps nobody out. That takes the middleware of this object.
    """

    def __init__(self, bounds: Bounds, *, refused: Callable[[], None], makes_room: bool) -> None:
        """Call `refused` for each connection that is refused, or closed to make room for another."""
        self._bounds = bounds
        self._refused = refused
        self._makes_room = makes_room
        self.lingering = Lingering()
        self._open: dict[asyncio.BaseTransport, None] = {}
        """Open connections; those that were asked for something last come last."""
        self._answering: set[asyncio.BaseTransport] = set()
        self._unread: dict[asyncio.BaseTransport, tuple[int, float]] = {}
        self._looked_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def guard(self, make: ProtocolFactory) -> ProtocolFactory:
        """Return what makes the protocols of connections, each behind a gate."""
        return lambda: _Gate(self, make)

    def middleware(self) -> Middleware:
        """Return the middleware that marks connections as busy."""

        @web.middleware
        async def mark(request: web.Request, handler: Handler) -> web.StreamResponse:
            transport = request.transport
            if transport is None:  # it was closed meanwhile
                return await handler(request)
            self._answering.add(transport)
            if transport in self._open:
                self._open[transport] = self._open.pop(transport)
            try:
                return await handler(request)
            finally:
                self._answering.discard(transport)

        return mark

    def admit(self, transport: asyncio.BaseTransport) -> bool:
        """Accept a connection; returns whether there was room."""
        if len(self._open) >= self._bounds.connections and self._may_have_closed():
            self._forget_closed()
        if len(self._open) >= self._bounds.connections:
            self._refused()
            if not self._make_room():
                return False
        self._open[transport] = None
        if self._timer is None:
            self._look_later()
        return True

    def _may_have_closed(self) -> bool:
        """Tell whether to look through all connections: where room can be made, not for every new one of a flood."""
        now = asyncio.get_running_loop().time()
        if self._makes_room and now - self._looked_at < _FLOOD_SECONDS:
            return False
        self._looked_at = now
        return True

    def _make_room(self) -> bool:
        """Close the connection that has been idle for longest, if there is one."""
        if not self._makes_room:
            return False
        for transport in self._open:
            if transport not in self._answering and not _waiting_bytes(transport):
                transport.close()
                del self._open[transport]
                return True
        return False

    def _forget_closed(self) -> None:
        # One that is closing holds memory as long as its client has not taken the last of its answer.
        self._open = {t: None for t in self._open if not t.is_closing() or _waiting_bytes(t)}

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(min(_LOOK_SECONDS, self._bounds.read_timeout_seconds / 2), self._look)

    def _look(self) -> None:
        """Give up connections whose client has taken nothing of an answer for too long."""
        now = asyncio.get_running_loop().time()
        unread: dict[asyncio.BaseTransport, tuple[int, float]] = {}
        for transport in self._open:
            waiting = _waiting_bytes(transport)
            if waiting:
                size, since = self._unread.get(transport, (0, now))
                unread[transport] = (waiting, since if size == waiting else now)
                if now - unread[transport][1] >= self._bounds.read_timeout_seconds:
                    cast(asyncio.WriteTransport, transport).abort()
        self._unread = unread
        self._forget_closed()
        self._timer = None
        if self._open:
            self._look_later()


def _waiting_bytes(transport: asyncio.BaseTransport) -> int:
    """Return how much of its answers the client has not taken yet."""
    return cast(asyncio.WriteTransport, transport).get_write_buffer_size()


def allow_open_files() -> None:
    """Take as many open files as this process is allowed, not the few that it begins with, as servers in Go do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Gate(asyncio.Protocol):
    """The protocol of a connection until it is let in."""

    def __init__(self, connections: Connections, make: ProtocolFactory) -> None:
        self._connections = connections
        self._make = make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Step aside for the protocol that serves, or say that there is no room."""
        stream = cast(asyncio.Transport, transport)  # uvloop's are not registered as such
        if self._connections.admit(stream):
            protocol = self._make()
            stream.set_protocol(protocol)
            protocol.connection_made(stream)
        else:
            stream.write(_TOO_MANY)
            self._connections.lingering.close(stream)
