"""Long answers: one at a time, in slices, for clients that still wait, and no more of them in line than a few."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from aiohttp import web

from sidecar.base.cooperative import Steps, in_slices

T = TypeVar("T")

RETRY_AFTER_SECONDS = 1

WAITING = 32
"""Answers in line at once, that being made included."""

WAITING_BY_ADDRESS = 8
"""The same for one address, so that one client cannot fill the queue."""


class ClientGone(ConnectionError):
    """Nobody waits for the answer any more; aiohttp ends the connection and says nothing."""


class LongAnswers:
    """The line in which requests for long answers wait; `refused` is called for each that finds no place in it."""

    def __init__(self, refused: Callable[[web.Request], None]) -> None:
        self._refused = refused
        self._turn = asyncio.Lock()
        self._waiting: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Answers in line now."""
        return self._waiting.total()

    async def make(self, request: web.Request, begin: Callable[[], Steps[T]]) -> T:
        """Begin an answer when its turn has come, and take the steps to it.

        Raises HTTPServiceUnavailable at once where too many are in line, ClientGone, and what the steps raise.
        """
        address = request.remote or ""
        if self.waiting >= WAITING or self._waiting[address] >= WAITING_BY_ADDRESS:
            self._refused(request)
            raise web.HTTPServiceUnavailable(
                text="too many long answers at once: ask again\n", headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
            )
        self._waiting[address] += 1
        try:
            async with self._turn:
                return await in_slices(_while_awaited(request, begin))
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]


def _while_awaited(request: web.Request, begin: Callable[[], Steps[T]]) -> Steps[T]:
    """Run steps until the client disconnects."""
    steps: Steps[T] | None = None
    while request.transport is not None:
        steps = begin() if steps is None else steps
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        yield
    raise ClientGone
