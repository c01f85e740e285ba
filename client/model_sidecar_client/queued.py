"""The queue: events and labels, and between them the marks of those who wait until all before was sent."""

import time
from collections import deque
from contextlib import suppress
from typing import Optional, Union

from model_sidecar_client.event import Event, Label

_FIRST_LOOK_SECONDS = 0.0005
_LONGEST_LOOK_SECONDS = 0.01


class Mark:
    """A place in the queue: `passed` is set when all before it was sent."""

    __slots__ = ("passed",)

    def __init__(self) -> None:
        self.passed = False

    def wait(self, seconds: float) -> bool:
        """Wait until it is passed; returns whether it was in time.

        It looks again and again, because a lock that is waited on would have to suit threads, greenlets and signal
        handlers alike. Sleeping does.
        """
        end, look = time.monotonic() + seconds, _FIRST_LOOK_SECONDS
        while not self.passed and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, look))
            look = min(2 * look, _LONGEST_LOOK_SECONDS)
        return self.passed


Queue = deque[Union[Event, Label, Mark]]


def mark(queue: Queue) -> Mark:
    """Return the mark behind everything queued; consecutive waiters share one."""
    with suppress(IndexError):
        last = queue[-1]
        if isinstance(last, Mark):
            return last
    made = Mark()
    queue.append(made)
    return made


def take(queue: Queue, most: int) -> tuple[list[Union[Event, Label]], Optional[Mark]]:
    """Take at most that many events and labels off the queue, up to and including the first mark."""
    taken: list[Union[Event, Label]] = []
    while len(taken) < most:
        try:
            item = queue.popleft()
        except IndexError:
            break
        if isinstance(item, Mark):
            return taken, item
        taken.append(item)
    return taken, None


def waiting(queue: Queue) -> int:
    """Count the events and labels in the queue."""
    return sum(type(item) is tuple for item in queue.copy())
