"""Measurement: the latency of a block, and whether it failed, given to the events that are logged in it.

The sidecar has no event for a latency alone: without features it would count every feature as missing. So events
logged in the block wait for its end, and where there are none, only a failure is one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType

from model_sidecar_client.event import Event


class Measurement:
    """A block that is measured. Threads and tasks started in it belong to it until it ends."""

    def __init__(self, owner: object, put: Callable[[Event], None], *, most_events: int) -> None:
        self._owner = owner
        self._put = put
        self._most_events = most_events
        self._lock = threading.RLock()
        self._held: list[Event] = []
        self._open = False
        self._failed = False
        self.alone = True
        """Whether a failure is an event of its own where none was logged."""
        self._began = 0.0
        self._seconds: float | None = None
        self._outer: Measurement | None = None
        self._token: Token[Measurement | None] | None = None

    def __enter__(self) -> Measurement:
        """Begin to measure."""
        self._outer = CURRENT.get()
        self._token = CURRENT.set(self)
        self._open = True
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send the events of the block; an exception is a failure, unless it came after `stop` or is no Exception."""
        if kind is not None and issubclass(kind, Exception) and self._seconds is None:
            self.fail()
        self.leave()
        self.finish()

    def fail(self) -> None:
        """Make the events of the block errors, as an exception does."""
        self._failed = True

    def stop(self) -> None:
        """End the latency here, before the block does."""
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._began

    def leave(self) -> None:
        """Take no more events of what runs in this context."""
        if self._token is not None:
            with suppress(ValueError, RuntimeError):  # it ends in another context than it began in
                CURRENT.reset(self._token)
            self._token = None

    def finish(self) -> None:
        """Send the events, once."""
        self.stop()
        assert self._seconds is not None  # for the type checker
        latency_ms = self._seconds * 1000
        with self._lock:
            if not self._open:
                return
            self._open = False
            held, self._held = self._held, []
        if not held and self._failed and self.alone:
            held = [(None, None, None, None, True, None)]
        for features, prediction, probability, latency, error, id_ in held:
            latency = latency_ms if latency is None else latency
            event = (features, prediction, probability, latency, error or self._failed, id_)
            if self._outer is None or not self._outer.hold(self._owner, event):
                self._put(event)

    def hold(self, owner: object, event: Event) -> bool:
        """Keep an event of this owner until the end; returns whether it was kept, here or further out."""
        if owner is self._owner:
            with self._lock:
                if self._open and len(self._held) < self._most_events:
                    self._held.append(event)
                    return True
        return self._outer is not None and self._outer.hold(owner, event)


CURRENT: ContextVar[Measurement | None] = ContextVar("model_sidecar_client.measurement", default=None)
"""The innermost block that is being measured."""
