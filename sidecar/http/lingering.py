"""Close a connection so that its client gets the answer.

Where a connection is closed while something of its client is unread, the kernel resets it, and the client loses what it
was answered. So the client's side is read to its end first, for a while, and thrown away.
"""

import asyncio

LINGER_SECONDS = 2.0
"""How long the end of the client's side is waited for."""

LINGERING = 256
"""Connections that linger at once; more are closed at once."""


class Lingering:
    """The connections of a listener that were answered and are being closed."""

    def __init__(self) -> None:
        self._open: set[asyncio.BaseTransport] = set()

    def close(self, transport: asyncio.Transport) -> None:
        """Close a connection once its client has, or has had time to."""
        if len(self._open) >= LINGERING or transport.is_closing():
            transport.close()
            return
        self._open.add(transport)
        transport.set_protocol(_Rest(self, transport))
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.close)

    def forget(self, transport: asyncio.BaseTransport) -> None:
        """Make room for another."""
        self._open.discard(transport)


class _Rest(asyncio.Protocol):
    """Data that a client still sends, discarded."""

    def __init__(self, lingering: Lingering, transport: asyncio.Transport) -> None:
        self._lingering = lingering
        self._transport = transport

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._lingering.forget(self._transport)
