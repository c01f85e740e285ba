"""Client: a bounded queue that the application appends to, and a thread that empties it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar, cast

from model_sidecar_client.counts import Counts, Stats
from model_sidecar_client.event import Event, Label
from model_sidecar_client.measurement import CURRENT, Measurement
from model_sidecar_client.pace import Pace
from model_sidecar_client.process import close_with_multiprocessing, watch
from model_sidecar_client.queued import Queue, mark, take, waiting
from model_sidecar_client.sender import Sender
from model_sidecar_client.transport import default_target, transport

EXIT_SECONDS = 2.0
"""How long the end of the process may be held up to send what is queued."""

_REPORT_SECONDS = 60.0

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger("model_sidecar_client")


class Client:
    """Log prediction events to a sidecar, from any thread, without waiting for it.

    `target` is `http://HOST:PORT`, `unix:///PATH` of a stream socket, `unixgram:///PATH` of a datagram socket or
    `/PATH` of either; without it MODEL_SIDECAR_SOCKET, MODEL_SIDECAR_URL, or http://127.0.0.1:8000. `model` names the
    model where the sidecar has several. Raises ValueError where the target or a number cannot be.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        model: str | None = None,
        batch_events: int = 500,
        flush_seconds: float = 1.0,
        queue_events: int = 10_000,
        timeout_seconds: float = 1.0,
    ) -> None:
        if min(batch_events, queue_events) < 1 or not (flush_seconds > 0 and timeout_seconds > 0):
            raise ValueError("batch_events and queue_events are at least 1, flush_seconds and timeout_seconds above 0")
        self._target = default_target() if target is None else target
        self._model = None if model is None else str(model)
        self._batch_events = min(batch_events, queue_events)
        self._flush_seconds = min(flush_seconds, 3600.0)
        self.queue_events = queue_events
        self._timeout_seconds = timeout_seconds
        # Who logs wakes the thread only where events come much faster than it expects them.
        self._wake_at = min(2 * (self._batch_events - 1), queue_events - 1)
        self._measures = False
        self._begin()
        watch(self)

    def _begin(self) -> None:
        """Start from nothing: at first, and in the child of a fork, where no thread but one goes on."""
        self._queue: Queue = deque()
        self._counts = Counts()
        self._drop_full = self._counts.drop_full
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._stopping = threading.Event()
        # A lock is the cheapest thing to wait on that a signal handler may release.
        self._wake = threading.Lock()
        self._wake.acquire()
        self._urgent = False
        # With so many in the queue, or more, there is more to do for an event than to append it.
        self._more_at = 0
        way = transport(self._target, timeout_seconds=self._timeout_seconds)
        self._sender = Sender(way, self._counts, self._model, stopping=self._stopping)

    def log(
        self,
        features: Mapping[str, Any] | None,
        prediction: Any = None,
        probability: Any = None,
        latency_ms: Any = None,
        error: bool = False,
        id: Any = None,
    ) -> None:
        """Queue an event; neither waits nor raises, whatever it is given. Only an error may come without features.

        An `id` is what `label` refers to later: text, an integer, or what `str` makes text of.
        """
        try:
            measurement = CURRENT.get() if self._measures else None
            if measurement is None:
                queue = self._queue
                queued = len(queue)
                if queued < self._more_at and type(features) is dict:
                    failed = True if error else False  # noqa: SIM210  (bool() takes longer)
                    queue.append((features.copy(), prediction, probability, latency_ms, failed, id))
                    return
                if queued >= self.queue_events:
                    self._drop_full()  # before anything is copied: a sidecar that hangs costs least
                    if self._thread is None:
                        self._start()
                    return
            own = None if features is None else dict(features)
            failed = bool(error)
            if own is None and not failed:
                self._counts.drop("no_features")
                return
            event = (own, prediction, probability, latency_ms, failed, id)
            if measurement is None or not measurement.hold(self, event):
                self._put(event)
        except Exception:  # noqa: BLE001  (what is passed may raise anything, and monitoring must not fail the model)
            self._counts.drop("invalid")

    def label(self, id: Any, label: Any) -> None:
        """Queue what turned out to be true of the prediction with this id; neither waits nor raises."""
        try:
            if id is None or label is None:
                self._counts.drop("invalid")
            else:
                self._put((id, label))
        except Exception:  # noqa: BLE001  (as in `log`)
            self._counts.drop("invalid")

    def drop(self, reason: str, events: int) -> None:
        """Count events that the caller had and could not log."""
        self._counts.drop(reason, events)

    def measure(self) -> Measurement:
        """Return a context manager whose latency, and failure, the events logged in its block carry.

        Where none is logged, a failure is an event of its own, and a success is none.
        """
        self._measures = True
        return Measurement(self, self._put, most_events=self.queue_events)

    def timed(self, function: F) -> F:
        """Measure every call of a function, or of a coroutine function until it returns."""
        from inspect import iscoroutinefunction

        if iscoroutinefunction(function):

            @wraps(function)
            async def measured_coroutine(*args: Any, **kwargs: Any) -> Any:
                with self.measure():
                    return await function(*args, **kwargs)

            return cast("F", measured_coroutine)

        @wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self.measure():
                return function(*args, **kwargs)

        return cast("F", measured)

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what has been logged so far; returns whether that was done, or given up, within `timeout` seconds."""
        if self._stopping.is_set() or not (self._queue or self._thread):
            return not self._queue
        if not self._start():
            return False
        sent = mark(self._queue)
        self._urgent = True
        self._rouse()
        if self._stopping.is_set():
            self._drop_rest()
        return sent.wait(timeout)

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Send what is queued within `timeout` seconds, drop the rest and stop; events logged later are dropped."""
        if self._closed:
            return
        self._closed = True
        self.flush(timeout)
        self._stopping.set()
        self._rouse()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._timeout_seconds)
        self._more_at = 0
        self._drop_rest()

    def begin_in_child(self) -> None:
        """Begin anew in the child of a fork: what the parent has queued, the parent sends."""
        closed = self._closed
        self._sender.close()  # the child's copy of the socket; the parent's stays open
        self._begin()
        self._closed = closed

    def stats(self) -> Stats:
        """Return how many events and labels were accepted, rejected, dropped and are queued, in this process."""
        if self._stopping.is_set():
            self._drop_rest()  # what somebody was about to append when the client closed
        with self._sender.moving:
            return self._counts.stats(queued=waiting(self._queue) + self._sender.in_hand)

    def _put(self, event: Event | Label) -> None:
        length = len(self._queue)
        if length >= self.queue_events:
            self._drop_full()
        elif self._closed:
            self._counts.drop("closed")
        else:
            self._queue.append(event)
            if self._thread is None:
                self._start()
            elif length >= self._more_at:
                self._rouse()

    def _drop_rest(self) -> None:
        with self._sender.moving:
            while self._queue:
                rest, sent = take(self._queue, self.queue_events)
                if rest:
                    self._counts.drop("closed", len(rest))
                if sent is not None:
                    sent.set()

    def _rouse(self) -> None:
        self._more_at = self.queue_events
        if self._stopping.is_set():
            self._more_at = 0
        with suppress(RuntimeError):  # it has been roused already
            self._wake.release()

    def _start(self) -> bool:
        """Start the thread, unless somebody else is about to; returns whether there is one, or is to be."""
        if self._thread is not None or not self._starting.acquire(blocking=False):
            return True
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="model-sidecar client", daemon=True)
                self._more_at = self.queue_events
                try:
                    thread.start()
                except RuntimeError:
                    self._more_at = 0  # no thread can be had now; the next event asks again
                    return False
                self._thread = thread
                close_with_multiprocessing(self)
            return True
        finally:
            self._starting.release()

    def _run(self) -> None:
        reported, reported_at = 0, float("-inf")
        pace = Pace(self._batch_events, self._flush_seconds, now=time.monotonic())
        while not self._stopping.is_set():
            self._wait(pace)
            everything = pace.due(time.monotonic())
            if self._urgent:
                self._urgent, everything = False, True
            # What comes meanwhile waits for its own batch, or each would be as small as the answers are fast.
            left = len(self._queue) if everything else 0
            while (left > 0 or len(self._queue) >= self._batch_events) and not self._stopping.is_set():
                left -= self._send()
            if everything:
                pace.sent_all(time.monotonic())
            dropped = self._counts.stats(queued=0).dropped
            if sum(dropped.values()) > reported and time.monotonic() >= reported_at + _REPORT_SECONDS:
                reported, reported_at = sum(dropped.values()), time.monotonic()
                log.warning("events dropped so far: %s", dropped)
        self._more_at = 0
        self._sender.close()

    def _wait(self, pace: Pace) -> None:
        """Wait for a batch, for the time to send less than one, or for somebody who wants it sent."""
        self._more_at = self._wake_at  # before it looks, so that who comes after that wakes it
        began, queued = time.monotonic(), len(self._queue)
        if queued < self._batch_events and not self._urgent:
            self._wake.acquire(timeout=pace.seconds(queued, began))
            pace.waited(time.monotonic() - began, len(self._queue) - queued)
        self._more_at = self.queue_events

    def _send(self) -> int:
        """Send a batch; returns how much was taken off the queue."""
        with self._sender.moving:
            batch, sent = take(self._queue, self._batch_events)
            self._sender.in_hand = len(batch)
        if batch:
            self._sender.send(batch)
        if sent is None:
            return len(batch)
        sent.set()
        return len(batch) + 1
