"""`POST /monitor`: prediction events over HTTP, on the loopback listener and on a Unix stream socket."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from sidecar.config import Limits
from sidecar.decode import Decoded
from sidecar.event import Form, TooManyEvents, Unreadable
from sidecar.listen.refusals import RefusalLog
from sidecar.monitor import Monitor

HTTP, UNIX_STREAM = "http", "unix_stream"
RETRY_AFTER_SECONDS = 1

_JSON = {"Content-Type": "application/json"}


class Ingest:
    """Answer `POST /monitor`.

    Bodies being received may take `limits.inflight_bytes` together; past that a request is turned away with 503 before
    it is read, and nothing of it is counted.
    """

    def __init__(self, monitor: Monitor, limits: Limits, clock: Callable[[], float]) -> None:
        self._monitor = monitor
        self._clock = clock
        self._inflight_bytes = 0
        self._freed = asyncio.Event()
        self._stopping = False
        self._forms: dict[str, Form] = {}
        self._refusals: dict[str, RefusalLog] = {}
        self.limits = limits

    def handler(self, transport: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return what counts the events of a body and answers, for requests that come by `transport`."""
        self._monitor.open_transport(transport)
        self._refusals[transport] = RefusalLog(transport, self._clock)

        async def post(request: web.Request) -> web.Response:
            response = await self._receive(request, transport)
            if self._stopping:
                response.force_close()
            return response

        return post

    async def drain(self) -> None:
        """Wait for the bodies that are being received; from now on connections are closed after their answer."""
        self._stopping = True
        while self._inflight_bytes:
            self._freed.clear()
            await self._freed.wait()

    async def _receive(self, request: web.Request, transport: str) -> web.Response:
        limit = self.limits.body_bytes
        announced = request.content_length
        if announced is not None and announced > limit:
            return self._too_large(transport)
        # How large a compressed body becomes is known only when it has been read.
        packed = "Content-Encoding" in request.headers
        reserved = limit if announced is None or packed else announced
        if self._inflight_bytes + reserved > self.limits.inflight_bytes:
            return self._overloaded(transport)
        self._inflight_bytes += reserved
        try:
            async with asyncio.timeout(self.limits.body_timeout.seconds):
                body = await request.read()
        except TimeoutError:
            return self._too_slow(transport)
        except web.HTTPRequestEntityTooLarge:
            return self._too_large(transport)
        except (web.RequestPayloadError, ConnectionError):
            return self._cut_short(transport)
        finally:
            self._inflight_bytes -= reserved
            self._freed.set()
        return self._submit(body, self._form(request.headers.get("Content-Type", "")), transport)

    def _submit(self, body: bytes, form: Form, transport: str) -> web.Response:
        try:
            decoded = self._monitor.submit(body, form, transport=transport, now=self._clock())
        except Unreadable as error:
            return self._refuse(400, f"unreadable body: {error}", transport)
        except TooManyEvents as error:
            return self._refuse(413, str(error), transport)
        if not decoded.refusals.total:
            return web.Response(status=202, body=b'{"accepted":%d,"rejected":0}\n' % decoded.accepted, headers=_JSON)
        self._refusals[transport].tell(decoded.refusals)
        return _answer(200 if decoded.accepted else 422, _refused(decoded))

    def _refuse(self, status: int, reason: str, transport: str) -> web.Response:
        self._refusals[transport].tell_body(reason)
        return _answer(status, {"error": reason})

    def _form(self, content_type: str) -> Form:
        """Tell the form by its media type; whatever is not listed is taken for JSON, as `curl -d` sends it."""
        form = self._forms.get(content_type)
        if form is None:
            media_type = content_type.partition(";")[0].strip().lower()
            form = next((f for f in Form if f.value == media_type), Form.JSON)
            if len(self._forms) < 100:
                self._forms[content_type] = form
        return form

    def _too_large(self, transport: str) -> web.Response:
        self._monitor.reject(transport, "too_large")
        return self._refuse(413, f"the body is larger than {self.limits.body_bytes} bytes", transport)

    def _cut_short(self, transport: str) -> web.Response:
        self._monitor.reject(transport, "unreadable")
        reason = "unreadable body: it was cut short, or is not what Content-Encoding says"
        return self._refuse(400, reason, transport)

    def _too_slow(self, transport: str) -> web.Response:
        self._monitor.reject(transport, "unreadable")
        response = self._refuse(408, f"the body did not arrive within {self.limits.body_timeout.text}", transport)
        response.force_close()
        return response

    def _overloaded(self, transport: str) -> web.Response:
        self._monitor.drop(transport, "overload")
        response = _answer(503, {"error": "too many bodies at once: send it again"})
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response


def _refused(decoded: Decoded) -> dict[str, object]:
    refusals = decoded.refusals
    errors = [{"index": r.index, "path": r.path, "reason": r.reason} for r in refusals.first]
    return {"accepted": decoded.accepted, "rejected": refusals.total, "errors": errors}


def _answer(status: int, document: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(document) + b"\n", headers=_JSON)
