"""Reading a sidecar: its drift, latency and health, as one reading."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from sidecar.cli.unreachable import HINTS, reason
from sidecar.http.address import peer

_TIMEOUT = aiohttp.ClientTimeout(total=10)

Report = dict[str, Any]


class Unreachable(Exception):
    """The sidecar does not answer, or not with what was asked for; the message says why in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to read: a model or all, a window or the one alerts go by, features by a part of their name."""

    model: str | None = None
    window: str | None = None
    match: str | None = None
    most_rows: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What the sidecar said: `/drift` and `/latency` by model, and `/health`."""

    timestamp: str
    drift: Report
    latency: Report
    health: Report


class Reader:
    """Read one sidecar, again and again."""

    def __init__(self, sidecar: str, wanted: Wanted) -> None:
        self.sidecar = re.sub(r"//[^/@]*@", "//", sidecar)  # a password is not to be shown
        self.wanted = wanted
        self._url, self._socket = peer(sidecar)

    async def read(self) -> Reading:
        """Read everything once; raises Unreachable."""
        wanted = self.wanted
        query = {"model": wanted.model, "window": wanted.window, "match": wanted.match, "limit": str(wanted.most_rows)}
        connector = aiohttp.TCPConnector() if self._socket is None else aiohttp.UnixConnector(self._socket)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
            drift, latency, health = await asyncio.gather(
                self._get(session, "drift", query),
                self._get(session, "latency", {"model": wanted.model}),
                self._get(session, "health", {}),
            )
        try:
            reading = Reading(drift["timestamp"], drift["models"], latency["models"], health)
            windows = {name: model["windows"] for name, model in reading.drift.items()}
            if windows != {name: list(model["windows"]) for name, model in reading.latency.items()}:
                raise Unreachable(f"{self.sidecar}: it was configured anew meanwhile")
            return reading
        except KeyError as error:
            raise Unreachable(f"{self.sidecar}: what answers is no sidecar of this version: no {error}") from error

    async def _get(self, session: aiohttp.ClientSession, path: str, query: dict[str, str | None]) -> Report:
        asked = {name: value for name, value in query.items() if value is not None}
        try:
            async with session.get(f"{self._url}/{path}", params=asked) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{self.sidecar}: {reason(error)}") from error
        if status == 401:
            raise Unreachable(f"{self.sidecar}: answered 401: {HINTS[401]}")
        try:
            document = msgspec.json.decode(content, type=Report)
        except msgspec.DecodeError as error:
            raise Unreachable(f"{self.sidecar}: answered {status} to /{path}, and not in JSON") from error
        if status != 200:
            raise Unreachable(f"{self.sidecar}: {document.get('error', f'answered {status} to /{path}')}")
        return document
