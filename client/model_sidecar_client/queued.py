"""The queue: events and labels, and between them the marks of those who wait until all before was sent."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import Union

from model_sidecar_client.event import Event, Label

Queue = deque[Union[Event, Label, threading.Event]]


def mark(queue: Queue) -> threading.Event:
    """Return what is set when all that is queued was sent; many who wait with nothing in between share one."""
    with suppress(IndexError):
        last = queue[-1]
        if isinstance(last, threading.Event):
            return last
    sent = threading.Event()
    queue.append(sent)
    return sent


def take(queue: Queue, most: int) -> tuple[list[Event | Label], threading.Event | None]:
    """Take so many events and labels off the queue at most, up to the first mark, which is taken and returned too."""
    taken: list[Event | Label] = []
    while len(taken) < most:
        try:
            item = queue.popleft()
        except IndexError:
            break
        if isinstance(item, threading.Event):
            return taken, item
        taken.append(item)
    return taken, None


def waiting(queue: Queue) -> int:
    """Count the events and labels in the queue."""
    return sum(type(item) is tuple for item in queue.copy())
