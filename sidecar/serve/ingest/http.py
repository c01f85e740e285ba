"""`POST /monitor`: prediction events over HTTP, on the loopback listener and on a Unix stream socket.

`Ingest` says what is done with a body. Two ways lead to it: aiohttp, which takes every request that there is, and the
protocol in `front`, which takes plain ones for a fraction of the cost.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from aiohttp import web

from sidecar.config import Limits
from sidecar.events import forms
from sidecar.events.forms import Form
from sidecar.events.refusals import Refusals, TooMany, Unreadable, Unsupported
from sidecar.exposition.catalogue import BodyReason, DropReason
from sidecar.http.content_coding import Truncated, UnknownCoding, decompressor
from sidecar.serve.ingest.admission import Admission, Held
from sidecar.serve.ingest.refusals import RefusalLog
from sidecar.serve.ingest.turns import Turns

HTTP, UNIX_STREAM = "http", "unix_stream"
RETRY_AFTER_SECONDS = 1
JSON = "application/json"
_REMEMBERED_TYPES = 100


class Answer(msgspec.Struct, frozen=True):
    """What to answer: a status, a document in JSON, and whether to send the body again or to close the connection."""

    status: int
    body: bytes
    retry: bool = False
    close: bool = False


class Taken(Protocol):
    """What became of the events, or labels, of a body."""

    refusals: Refusals

    @property
    def accepted(self) -> int:
        """Number of those that were counted."""


class Intake(Protocol):
    """What bodies are handed to: the monitor for events, LabelIntake for labels."""

    def open_transport(self, transport: str) -> None:
        """Begin to export the counters of a transport, from zero."""

    def submit(self, body: bytes, form: Form, *, transport: str, now: float) -> Taken:
        """Count what is in a body; raises Unreadable or TooMany where nothing of it was counted."""

    def reject(self, transport: str, reason: BodyReason) -> None:
        """Count a body as refused."""

    def drop(self, transport: str, reason: DropReason) -> None:
        """Count a body as lost."""


class Ingest:
    """Answer `POST /monitor`, or `POST /labels`.

    Bodies being received may take `limits.inflight_bytes` together. Past that one is turned away with 503, and nothing
    of it is counted.
    """

    def __init__(self, intake: Intake, limits: Limits, clock: Callable[[], float], turns: Turns | None = None) -> None:
        self._intake = intake
        self._clock = clock
        self.admission = Admission(limits.inflight_bytes)
        self._forms: dict[str, Form] = {}
        self._refusals: dict[str, RefusalLog] = {}
        self._limits = limits
        self.turns = turns or Turns()
        self.stopping = False

    def open(self, transport: str) -> None:
        """Begin to take bodies that come by `transport`."""
        self._intake.open_transport(transport)
        self._refusals[transport] = RefusalLog(transport, self._clock)

    def handler(self, transport: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return what counts the events of a body and answers, for requests that come by `transport`."""

        async def post(request: web.Request) -> web.Response:
            answer = await self._receive(request, transport)
            response = web.Response(status=answer.status, body=answer.body, headers={"Content-Type": JSON})
            if answer.retry:
                response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            if answer.close or self.stopping:
                response.force_close()
            return response

        return post

    @property
    def limits(self) -> Limits:
        """What bodies are limited to; may be set again."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self.admission.most_bytes = limits.inflight_bytes

    async def drain(self) -> None:
        """Wait for the bodies that are being received; from now on connections are closed after their answer."""
        self.stopping = True
        await self.admission.drained()

    async def _receive(self, request: web.Request, transport: str) -> Answer:
        announced = request.content_length
        if announced is not None and announced > self.limits.body_bytes:
            return self._too_large(transport)
        held = self.admission.begin()
        try:
            async with asyncio.timeout(self.limits.body_timeout.seconds):
                body = await self._read(request, held)
        except UnknownCoding as error:
            self._intake.reject(transport, "unreadable")
            return self._refuse(415, str(error), transport)
        except TimeoutError:
            return self.too_slow(transport)
        except _TooLarge:
            return self._too_large(transport)
        except _NoRoom:
            return self.overloaded(transport)
        except (web.RequestPayloadError, ConnectionError, Truncated):
            return self.cut_short(transport)
        finally:
            held.release()
        content_type = request.headers.get("Content-Type", "")
        return await self.turns.run(lambda: self.submit(body, content_type, transport))

    async def _read(self, request: web.Request, held: Held) -> bytes:
        """Return the decompressed body; raises _TooLarge, _NoRoom, Truncated or UnknownCoding."""
        decompress = decompressor(", ".join(request.headers.getall("Content-Encoding", [])))
        parts: list[bytes] = []
        room: int = self.limits.body_bytes
        async for data in request.content.iter_any():
            for piece in (data,) if decompress is None else decompress.pieces(data):
                room -= len(piece)
                if room < 0:
                    raise _TooLarge
                if not held.grow(len(piece)):
                    raise _NoRoom
                parts.append(piece)
        if decompress is not None:
            decompress.finish()
        return b"".join(parts)

    def submit(self, body: bytes, content_type: str, transport: str) -> Answer:
        """Count the events of a body."""
        try:
            form = self._forms.get(content_type) or self._form(content_type)
        except Unsupported as error:
            self._intake.reject(transport, "unreadable")
            return self._refuse(415, str(error), transport)
        try:
            decoded = self._intake.submit(body, form, transport=transport, now=self._clock())
        except Unsupported as error:
            return self._refuse(415, str(error), transport)
        except Unreadable as error:
            return self._refuse(400, f"unreadable body: {error}", transport)
        except TooMany as error:
            return self._refuse(413, str(error), transport)
        if not decoded.refusals.total:
            return Answer(202, b'{"accepted":%d,"rejected":0}\n' % decoded.accepted)
        self._refusals[transport].tell(decoded.refusals)
        return _answer(200 if decoded.accepted else 422, _refused(decoded))

    def too_slow(self, transport: str) -> Answer:
        """Refuse a body that did not arrive in time."""
        self._intake.reject(transport, "unreadable")
        return self._refuse(
            408, f"the body did not arrive within {self.limits.body_timeout.text}", transport, close=True
        )

    def cut_short(self, transport: str) -> Answer:
        """Refuse a body whose end did not come, or that is not packed as it says."""
        self._intake.reject(transport, "unreadable")
        reason = "unreadable body: it was cut short, or is not what Content-Encoding says"
        return self._refuse(400, reason, transport)

    def _refuse(self, status: int, reason: str, transport: str, *, close: bool = False) -> Answer:
        self._refusals[transport].tell_body(reason)
        return _answer(status, {"error": reason}, close=close)

    def _form(self, content_type: str) -> Form:
        form = forms.of_content_type(content_type)
        if len(self._forms) < _REMEMBERED_TYPES:
            self._forms[content_type] = form
        return form

    def _too_large(self, transport: str) -> Answer:
        self._intake.reject(transport, "too_large")
        return self._refuse(413, f"the body is larger than {self.limits.body_bytes} bytes", transport)

    def overloaded(self, transport: str) -> Answer:
        """Turn a body away because others take all the room."""
        self._intake.drop(transport, "overload")
        return _answer(503, {"error": "too many bodies at once: send it again"}, retry=True)


class _TooLarge(Exception):
    """The body is larger than one may be."""


class _NoRoom(Exception):
    """The bodies being received take all the room there is."""


def _refused(decoded: Taken) -> dict[str, object]:
    refusals = decoded.refusals
    errors = [{"index": r.index, "path": r.path, "reason": r.reason} for r in refusals.first]
    return {"accepted": decoded.accepted, "rejected": refusals.total, "errors": errors}


def _answer(status: int, document: object, *, retry: bool = False, close: bool = False) -> Answer:
    return Answer(status, msgspec.json.encode(document) + b"\n", retry=retry, close=close)
