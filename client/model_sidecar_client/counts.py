"""What became of the events: every one that was logged is accepted, rejected, dropped or still queued."""

import threading
from collections.abc import Callable
from itertools import count
from typing import NamedTuple


class Stats(NamedTuple):
    """Numbers of events and labels of this process; `dropped` is by reason, and they sum up to what was logged.

    `accepted` were counted by the sidecar, or taken by its datagram socket, which answers nothing.
    """

    accepted: int
    rejected: int
    dropped: dict[str, int]
    queued: int


class Counts:
    """Counters that threads share.

    The lock can be taken again by who holds it, so that a signal handler that logs does not wait for itself.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._accepted = 0
        self._rejected = 0
        self._dropped: dict[str, int] = {}
        # The interpreter takes a step of this at once, so that it needs no lock, for which a caller might wait.
        self._full, self._full_reads = count(), count()
        self.drop_full: Callable[[], int] = self._full.__next__
        """Count an event that found the queue full."""

    def answer(self, *, accepted: int, rejected: int) -> None:
        """Count what the sidecar did with the events of a body."""
        with self._lock:
            self._accepted += accepted
            self._rejected += rejected

    def drop(self, reason: str, events: int = 1) -> None:
        """Count events that will never arrive."""
        with self._lock:
            self._dropped[reason] = self._dropped.get(reason, 0) + events

    def stats(self, *, queued: int) -> Stats:
        """Return the numbers as they are now."""
        with self._lock:
            dropped = dict(self._dropped)
            full = next(self._full) - next(self._full_reads)  # reading takes a step, too
            if full:
                dropped["queue_full"] = dropped.get("queue_full", 0) + full
            return Stats(self._accepted, self._rejected, dropped, queued)
