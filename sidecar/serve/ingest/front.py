"""A thin HTTP protocol in front of aiohttp: it answers plain `POST /monitor` itself and hands over the rest.

What a request costs is nearly all HTTP, and most requests are of one shape. A request is *plain* when its whole head
comes at once, is short, and says nothing but `POST /monitor HTTP/1.1`, a `Host`, a `Content-Length` and fields that do
not touch how the message is framed, each once, in ASCII, on a line of its own: all parsers agree on those. Whatever
else arrives is not judged here: the connection goes to aiohttp, with the bytes that were read, for the rest of its
life.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from socket import SO_KEEPALIVE, SOL_SOCKET
from typing import cast

from sidecar.http.web_pages import AllowedHosts
from sidecar.serve.ingest.admission import Held
from sidecar.serve.ingest.http import JSON, RETRY_AFTER_SECONDS, Answer, Ingest

HEAD_BYTES = 4096
"""Longest head of a plain request; longer ones are aiohttp's."""

_FIELDS = 100
_REMEMBERED_HEADS = 256
_FIELD = re.compile(rb"([\w!#$%&'*+.^`|~-]+):[ \t]*([\x21-\x7e](?:[ \t\x21-\x7e]*[\x21-\x7e])?)?[ \t]*", re.ASCII)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,11}")
_FRAMING = frozenset(
    (b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"trailer", b"te", b"http2-settings")
)
_WEB_PAGE = frozenset((b"origin", b"sec-fetch-site"))
"""Fields that browsers send, and programs do not: `web_pages` judges them."""
_START = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\nContent-Type: {JSON}\r\n".encode() for s in HTTPStatus}
_RETRY = b"Retry-After: %d\r\n" % RETRY_AFTER_SECONDS
_CLOSE = b"Connection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """What there is to know of a plain request before its body."""

    length: int
    content_type: str
    close: bool
    host: str


def plain_head(text: bytes) -> Head | None:
    """Read the head of a request, up to and with its empty line; None where it is not plain.

    >>> plain_head(b"POST /monitor HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\n\\r\\n")
    Head(length=2, content_type='', close=False, host='x')
    >>> plain_head(b"POST /monitor HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\nExpect: 100-continue\\r\\n\\r\\n")
    """
    request, *lines = text[:-4].split(b"\r\n")
    if request != b"POST /monitor HTTP/1.1" or len(lines) > _FIELDS:
        return None
    fields: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        name = field[1].lower()
        if name in fields or name in _FRAMING or name in _WEB_PAGE:
            return None
        fields[name] = field[2] or b""
    length = fields.get(b"content-length", b"")
    connection = fields.get(b"connection", b"keep-alive").lower()
    if b"host" not in fields or not _LENGTH.fullmatch(length) or connection not in (b"keep-alive", b"close"):
        return None
    return Head(
        length=int(length),
        content_type=fields.get(b"content-type", b"").decode("ascii"),
        close=connection == b"close",
        host=fields[b"host"].decode("ascii"),
    )


class Front:
    """Make the protocol of each connection that comes by a transport; `hand_over` makes that of the others.

    A connection without a request for `idle_seconds` is closed. A request for a host that is not one of `hosts`, where
    given, is handed over: aiohttp's side refuses it.
    """

    def __init__(
        self,
        ingest: Ingest,
        transport: str,
        hand_over: Callable[[], asyncio.Protocol],
        *,
        idle_seconds: float,
        hosts: AllowedHosts | None = None,
    ) -> None:
        self.ingest = ingest
        self.transport = transport
        self.hand_over = hand_over
        self.idle_seconds = idle_seconds
        self._hosts = hosts
        self.connections: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._heads: dict[bytes, Head] = {}
        self._dated = 0
        self._date = b""
        self._accepted: dict[bytes, bytes] = {}

    def __call__(self) -> "Connection":
        """Return the protocol of a new connection."""
        return Connection(self, self._loop)

    def close(self) -> None:
        """Close the connections that are still open and were not handed over."""
        for connection in tuple(self.connections):
            connection.close()

    def head(self, text: bytes) -> Head | None:
        """Read the head of a request; clients that send the same head again are known by it."""
        head = self._heads.get(text)
        if head is None:
            head = plain_head(text)
            if head is not None and self._hosts is not None and not self._hosts.allow(head.host):
                head = None
            if head is not None:
                if len(self._heads) >= _REMEMBERED_HEADS:
                    self._heads.clear()
                self._heads[text] = head
        return head

    def response(self, answer: Answer, *, close: bool) -> bytes:
        """Write an answer as HTTP."""
        second = int(time.time())
        if second != self._dated:
            self._dated = second
            self._date = b"\r\nDate: %b\r\n" % formatdate(second, usegmt=True).encode()
            self._accepted.clear()
        if answer.status == 202 and not close:  # the same ones again and again
            written = self._accepted.get(answer.body)
            if written is None:
                written = self._accepted[answer.body] = self._written(answer, b"\r\n")
            return written
        return self._written(answer, _CLOSE if close else b"\r\n")

    def _written(self, answer: Answer, last: bytes) -> bytes:
        start = _START[answer.status] + (_RETRY if answer.retry else b"")
        return b"%bContent-Length: %d%b%b%b" % (start, len(answer.body), self._date, last, answer.body)


class Connection(asyncio.Protocol):
    """One connection, from its beginning to its end or to the first request that is not plain."""

    def __init__(self, front: Front, loop: asyncio.AbstractEventLoop) -> None:
        self._front = front
        self._ingest = front.ingest
        self._loop = loop
        self._head: Head | None = None
        self._held: Held | None = None
        self._parts: list[bytes] = []
        self._missing = 0
        self._since = 0.0
        self._writing_paused = False
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to watch the time."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
        self._since = self._loop.time()
        self._watch = self._loop.call_at(self._deadline(), self._look_at_the_clock)
        self._front.connections.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count a body that was cut short."""
        if self._head is not None:
            self._end_of_body()
            self._ingest.cut_short(self._front.transport)
        self._leave()

    def eof_received(self) -> None:
        """Answer a truncated body, for clients that close only their sending direction."""
        if self._head is not None:
            self._end_of_body()
            self._answer(self._ingest.cut_short(self._front.transport), close=True)

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read its responses."""
        self._writing_paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on reading."""
        self._writing_paused = False
        if not self._waits:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request, in order, and keep the beginning of a body whose rest is to come."""
        head = self._head
        if head is not None:
            assert self._held is not None  # as long as there is a head
            if not self._held.grow(len(data)):
                self._end_of_body()
                self._answer(self._ingest.overloaded(self._front.transport), close=True)
                return
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._parts)
            self._end_of_body()
            self._serve(data, 0, head)
        else:
            self._since = self._loop.time()
            self._serve(data, 0, None)

    def _serve(self, data: bytes, at: int, head: Head | None) -> None:
        """Answer the requests in `data` from `at` on, where the body of `head` begins, or a head if it is None."""
        ingest, transport = self._ingest, self._front.transport
        while True:
            if head is None:
                if at == len(data):
                    return
                end = data.find(b"\r\n\r\n", at, at + HEAD_BYTES) + 4
                head = self._front.head(data[at:end]) if end > 3 else None
                here = len(data) - end
                if head is None or head.length > ingest.limits.body_bytes or not ingest.admission.has_room(here):
                    self._hand_over(data[at:])
                    return
                at = end
            until = at + head.length
            if until > len(data):
                self._begin_body(head, data[at:])
                return
            if ingest.turns.over():
                self._wait(data, at, head)
                return
            close = head.close or ingest.stopping
            self._answer(ingest.submit(data[at:until], head.content_type, transport), close=close)
            if close:
                return
            at, head = until, None

    def _wait(self, data: bytes, at: int, head: Head) -> None:
        """Answer later a request that is here as a whole, and read nothing before that."""
        self._waits = True
        self._transport.pause_reading()
        held = self._ingest.admission.begin()
        held.grow_anyway(head.length)
        self._ingest.turns.wait(lambda: self._resume(data, at, head, held))

    def _resume(self, data: bytes, at: int, head: Head, held: Held) -> None:
        """Answer a delayed request, then the requests after it."""
        self._waits = False
        held.release()
        close, until = head.close or self._ingest.stopping, at + head.length
        answer = self._ingest.submit(data[at:until], head.content_type, self._front.transport)
        if self._transport.is_closing():  # the client has disconnected; the body counts all the same
            return
        if not self._writing_paused:
            self._transport.resume_reading()
        self._answer(answer, close=close)
        if not close:
            self._serve(data, until, None)

    def _begin_body(self, head: Head, first: bytes) -> None:
        self._held = self._ingest.admission.begin()
        self._held.grow_anyway(len(first))
        self._head = head
        self._parts = [first] if first else []
        self._missing = head.length - len(first)
        self._since = self._loop.time()
        if self._watch.when() > self._deadline():
            self._watch.cancel()
            self._watch = self._loop.call_at(self._deadline(), self._look_at_the_clock)

    def _end_of_body(self) -> None:
        assert self._held is not None  # called only while a body is being received
        self._held.release()
        self._held = None
        self._head = None
        self._parts = []
        self._since = self._loop.time()

    def _answer(self, answer: Answer, *, close: bool) -> None:
        self._transport.write(self._front.response(answer, close=close))
        if close:
            self._transport.close()

    def _deadline(self) -> float:
        limit = self._front.idle_seconds if self._head is None else self._ingest.limits.body_timeout.seconds
        return self._since + limit

    def _look_at_the_clock(self) -> None:
        """Give up a body that does not come, or an idle connection; else look again when the time has come."""
        if self._deadline() > self._loop.time():
            self._watch = self._loop.call_at(self._deadline(), self._look_at_the_clock)
        elif self._head is not None:
            self._end_of_body()
            self._answer(self._ingest.too_slow(self._front.transport), close=True)
        else:
            self._transport.close()

    def _hand_over(self, data: bytes) -> None:
        """Leave the connection to aiohttp, with what was read of it and not answered."""
        self._leave()
        transport, protocol = self._transport, self._front.hand_over()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._writing_paused:
            protocol.pause_writing()
            transport.resume_reading()
        protocol.data_received(data)

    def _leave(self) -> None:
        self._watch.cancel()
        self._front.connections.discard(self)

    def close(self) -> None:
        """Close the connection, even in the middle of a body."""
        self._transport.close()
