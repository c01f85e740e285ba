"""Answer clients that end their side of a connection once they have sent their requests.

aiohttp closes the connection then, whatever it has not answered yet.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp.web_protocol import RequestHandler

_LOOK_SECONDS = 0.02


def half_closing(make: Callable[[], RequestHandler]) -> Callable[[], asyncio.Protocol]:
    """Return what makes aiohttp's protocols, each with this one before it."""
    return lambda: HalfClose(make())


class HalfClose(asyncio.Protocol):
    """Hand everything on to aiohttp's protocol, but the end of the client's side while there is something to answer."""

    def __init__(self, inner: RequestHandler) -> None:
        self._inner = inner
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such
        self._inner.connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._transport = None
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand it on."""
        self._inner.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Hand it on."""
        self._inner.data_received(data)

    def eof_received(self) -> bool:
        """Keep the connection open where every request has come as a whole, until all are answered."""
        self._inner.eof_received()
        transport = self._transport
        if transport is None or transport.get_extra_info("sslcontext") is not None or self._cut_short():
            return False  # TLS has no half of a connection
        self._look_later()
        return True

    # aiohttp has no public way to ask what is still to be answered.

    def _cut_short(self) -> bool:
        """Tell whether a body ends before its end; aiohttp says so to whoever reads it once the connection is lost."""
        current = self._inner._current_request
        bodies = [payload for _, payload in self._inner._messages]
        return (current is not None and not current.content.is_eof()) or not all(body.is_eof() for body in bodies)

    def _look_later(self) -> None:
        # Not at once: between two steps of its task aiohttp has a request in neither place.
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._close_when_answered)

    def _close_when_answered(self) -> None:
        if self._transport is None:
            return
        answering = self._inner._messages or self._inner._current_request is not None
        if answering and not self._cut_short():
            self._look_later()
        else:
            self._transport.close()
