"""Turns: how long bodies may hold one turn of the event loop, so that a scrape has its own.

The loop serves in one turn whatever is ready. With many senders that is many bodies, and the work of a scrape, which
takes some turns, would wait for all of them again and again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

TURN_SECONDS = 0.01
"""Once bodies have been counted for so long, further ones wait for the next turn."""


class Turns:
    """Bodies that were received whole and wait to be counted, in their order.

    No loop says when a turn begins. So a body that comes later than TURN_SECONDS after the last turn that was seen to
    begin waits for the next one, which is then seen; without load that turn follows at once.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._until = 0.0
        self._awaited = False

    def over(self) -> bool:
        """Tell whether a body that comes now has to wait."""
        return monotonic() > self._until or bool(self._waiting)

    def wait(self, count: Callable[[], None]) -> None:
        """Call `count` in a later turn, after those that wait already."""
        self._waiting.append(count)
        self._await_turn()

    async def run(self, count: Callable[[], T]) -> T:
        """Return what `count` returns, in a later turn where it has to wait."""
        if not self.over():
            return count()
        counted: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def resolve() -> None:
            if counted.cancelled():
                return
            try:
                counted.set_result(count())
            except Exception as error:  # noqa: BLE001  (it is raised where the result is awaited)
                counted.set_exception(error)

        self.wait(resolve)
        return await counted

    def _await_turn(self) -> None:
        if not self._awaited:
            self._awaited = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        """Count queued bodies until the turn is over, at least one."""
        self._awaited = False
        self._until = monotonic() + TURN_SECONDS
        while self._waiting:
            self._waiting.popleft()()
            if monotonic() > self._until:
                break
        if self._waiting:
            self._await_turn()
