"""Bodies of events, posted one after the other to a sidecar."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
import msgspec

from sidecar.cli.replay.rows import Events
from sidecar.cli.unreachable import HINTS, advice, reason
from sidecar.events.refusals import MOST_ERRORS
from sidecar.http.address import NoPeer, peer

BodyForm = Literal["ndjson", "columns", "json"]

GIVE_UP_SECONDS = 60.0
"""How long an overloaded sidecar is asked again before that is a failure."""

_TIMEOUT = aiohttp.ClientTimeout(total=60)


class SendError(Exception):
    """The sidecar cannot be reached, or refuses more than events; the message says why in one sentence."""


@dataclass(slots=True)
class Summary:
    """What came of the events: how many were sent and answered, and the first refusals with their rows."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    retries: int = 0
    errors: list[str] = field(default_factory=list)

    def add(self, answer: dict[str, Any], *, rows: int) -> None:
        """Count the answer to a body of `rows` rows."""
        for error in answer.get("errors", ()):
            if len(self.errors) < MOST_ERRORS:
                self.errors.append(f"row {self.sent + error['index'] + 1}: {error['path']}: {error['reason']}")
        self.accepted += answer["accepted"]
        self.refused += answer["rejected"]
        self.sent += rows


def target(to: str) -> tuple[str, str | None]:
    """Return the URL to post to, and the path of the socket if it is one.

    >>> target("http://127.0.0.1:8000")
    ('http://127.0.0.1:8000/monitor', None)
    >>> target("/run/sidecar.sock")
    ('http://localhost/monitor', '/run/sidecar.sock')
    """
    try:
        url, socket = peer(to)
    except NoPeer as error:
        raise SendError(str(error)) from error
    return f"{url}/monitor", socket


def body_of(events: Events, form: BodyForm, model: str | None) -> tuple[bytes, str]:
    """Write events in a form, and return it with its media type."""
    if form == "columns":
        columns = {"features": events.features, **events.others}
        document = {"columns": columns} if model is None else {"model": model, "columns": columns}
        return msgspec.json.encode(document), "application/json"
    fixed = {} if model is None else {"model": model}
    names, keys = tuple(events.features), tuple(events.others)
    rows = range(events.rows)
    features = zip(*events.features.values(), strict=True) if names else (() for _ in rows)
    others = zip(*events.others.values(), strict=True) if keys else (() for _ in rows)
    objects = [
        {"features": dict(zip(names, f, strict=True)), **dict(zip(keys, o, strict=True)), **fixed}
        for f, o in zip(features, others, strict=True)
    ]
    if form == "ndjson":
        return b"\n".join(map(msgspec.json.encode, objects)) + b"\n", "application/x-ndjson"
    return msgspec.json.encode(objects), "application/json"


async def send(
    bodies: Iterable[Events],
    to: str,
    summary: Summary,
    *,
    form: BodyForm = "ndjson",
    model: str | None = None,
    rate: float | None = None,
    sent: Callable[[int], None] = lambda rows: None,
) -> None:
    """Post bodies one after the other, `rate` events a second, counting into `summary`.

    A body turned away with 503 was not counted, and is sent again when the answer says. Raises SendError.
    """
    url, socket = target(to)
    connector = aiohttp.UnixConnector(socket) if socket is not None else aiohttp.TCPConnector()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
        for events in bodies:
            if rate is not None:
                await asyncio.sleep(begun + summary.sent / rate - loop.time())
            body, media_type = body_of(events, form, model)
            answer = await _post(session, url, to, body, media_type, summary)
            summary.add(answer, rows=events.rows)
            sent(summary.sent)


async def _post(
    session: aiohttp.ClientSession, url: str, to: str, body: bytes, media_type: str, summary: Summary
) -> dict[str, Any]:
    shown = re.sub(r"//[^/@]*@", "//", to)  # a password is not to be shown
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            async with session.post(url, data=body, headers={"Content-Type": media_type}) as response:
                status, content = response.status, await response.read()
                retry_after = response.headers.get("Retry-After", "1")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SendError(f"{shown}: {reason(error)}{advice(error)}") from error
        if status == 503 and time.monotonic() < give_up:
            summary.retries += 1
            await asyncio.sleep(min(float(retry_after) if retry_after.isdecimal() else 1.0, GIVE_UP_SECONDS))
            continue
        if status in (200, 202, 422):
            try:
                return msgspec.json.decode(content, type=dict[str, Any])
            except msgspec.DecodeError as error:
                raise SendError(f"{shown}: the answer is not JSON") from error
        said = content.decode("utf-8", "replace").strip().removeprefix(f"{status}: ")[:200]
        hint = f"; {HINTS[status]}" if status in HINTS else ""
        raise SendError(f"{shown}: answered {status}: {said}{hint}")
