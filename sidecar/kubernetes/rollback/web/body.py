"""Body: the bytes of a notification, bounded in size and time, for one request and for all that are held at once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from sidecar.http.content_coding import Truncated, UnknownCoding, decompressor

BODY_BYTES = 4 * 2**20
HELD_BYTES = 4 * BODY_BYTES
"""Bodies that are held at once, decompressed; what they become in memory is a few times as much."""

READ_SECONDS = 10.0


class Refused(Exception):
    """A body is not taken; `status` is the answer, the message says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Bodies:
    """Read bodies, and know how many bytes of them are held."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def read(self, request: web.Request) -> AsyncIterator[bytes]:
        """Hold the body of a request, unpacked; raises Refused."""
        with self._account() as hold:
            yield await _whole(request, hold)

    @contextmanager
    def _account(self) -> Iterator[Callable[[int], None]]:
        """Count bytes as held until the end of the block; counting more than the bound raises Refused."""
        own = 0

        def hold(count: int) -> None:
            nonlocal own
            own += count
            self._held += count
            if self._held > HELD_BYTES:
                raise Refused(503, f"notifications hold more than {HELD_BYTES} bytes: send it again")

        try:
            yield hold
        finally:
            self._held -= own


async def _whole(request: web.Request, hold: Callable[[int], None]) -> bytes:
    """Read a body and decompress it; raises Refused."""
    pieces: list[bytes] = []
    size = 0
    try:
        decompress = decompressor(", ".join(request.headers.getall("Content-Encoding", [])))
        async with asyncio.timeout(READ_SECONDS):
            async for data in request.content.iter_any():
                for piece in (data,) if decompress is None else decompress.pieces(data):
                    size += len(piece)
                    if size > BODY_BYTES:
                        raise Refused(413, f"the body is larger than {BODY_BYTES} bytes")
                    hold(len(piece))
                    pieces.append(piece)
        if decompress is not None:
            decompress.finish()
    except UnknownCoding as error:
        raise Refused(415, str(error)) from error
    except TimeoutError as error:
        raise Refused(408, f"the body did not arrive within {READ_SECONDS:g} seconds") from error
    except Truncated as error:
        raise Refused(400, f"the body is not what Content-Encoding says: {error}") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Refused(400, "the body was cut short") from error
    return b"".join(pieces)
