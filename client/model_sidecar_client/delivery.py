"""Delivery: what one process has logged and not sent yet, and the thread that sends it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import NamedTuple

from model_sidecar_client.bell import Bell
from model_sidecar_client.counts import Counts, Stats
from model_sidecar_client.event import Event, Label
from model_sidecar_client.pace import Pace
from model_sidecar_client.processes.forks import mark_process
from model_sidecar_client.processes.process import close_with_multiprocessing
from model_sidecar_client.queued import Queue, mark, take, waiting
from model_sidecar_client.sender import Sender
from model_sidecar_client.wire.transport import transport

_REPORT_SECONDS = 60.0
_STILL_SECONDS = 300.0
"""Longer than a body is waited for in any way."""

log = logging.getLogger("model_sidecar_client")


class Options(NamedTuple):
    """What a client was made with."""

    target: str
    model: str | None
    batch_events: int
    flush_seconds: float
    queue_events: int
    timeout_seconds: float


class Delivery:
    """A bounded queue that the application appends to, and a thread that empties it; of the process that made it."""

    def __init__(self, options: Options) -> None:
        self.own = mark_process()
        self.queue: Queue = deque()
        self.counts = Counts()
        self.drop_full = self.counts.drop_full
        self.thread: threading.Thread | None = None
        self.closed = False
        # From this length of the queue on, an event needs more than an append.
        self.more_at = 0
        # Who logs wakes the thread only where events come much faster than it expects them.
        self.wake_at = min(2 * (options.batch_events - 1), options.queue_events - 1)
        self._options = options
        self._starting = threading.Lock()
        self._stopping = self._urgent = self._hurried = False
        self._looked_at = time.monotonic()
        self._reported, self._reported_at = 0, float("-inf")
        self._wake = Bell()
        way = transport(options.target, timeout_seconds=options.timeout_seconds)
        self._sender = Sender(way, self.counts, options.model)

    def put(self, event: Event | Label) -> None:
        """Queue an event or a label, or count why not."""
        length = len(self.queue)
        if length >= self._options.queue_events:
            self.drop_full()
        elif self.closed:
            self.counts.drop("closed")
        else:
            self.queue.append(event)
            if self.thread is None:
                self.start()
            elif length >= self.more_at:
                self._rouse()

    def flush(self, timeout: float) -> bool:
        """Send what is queued; returns whether that was done, or given up, within `timeout` seconds."""
        if self._stopping or not (self.queue or self.thread):
            return not self.queue
        if not self.start():
            return False
        sent = mark(self.queue)
        self._urgent = True
        self._rouse()
        if self._stopping:
            self._drop_rest()
        return sent.wait(timeout)

    def hurry(self) -> None:
        """From now on, send every event at once: the process may end any time. Never waits."""
        self._hurried = True
        if self.queue:
            self.start()
        self._rouse()

    def close(self, timeout: float) -> None:
        """Send what is queued within `timeout` seconds, drop the rest and stop; events logged later are dropped."""
        if self.closed:
            return
        self.closed = True
        end = time.monotonic() + timeout
        if not self.flush(timeout) and self.thread is None:
            self._send_here(end)
        self._stopping = True
        self._sender.stop()
        self._rouse()
        thread = self.thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._options.timeout_seconds)
        self.more_at = 0
        self._drop_rest()
        self._report()

    def abandon(self) -> None:
        """Let go of the connection in the child of a fork; the parent's stays open."""
        self._sender.close()

    def stats(self) -> Stats:
        """Return the numbers as they are now."""
        if self._stopping:
            self._drop_rest()  # events appended while the client closed
        with self._sender.moving:
            return self.counts.stats(queued=waiting(self.queue) + self._sender.in_hand)

    def problems(self) -> list[str]:
        """Return a sentence where events were refused, and one where a server does not let the thread run."""
        found = []
        refused, still = self.counts.stats(queued=0).rejected, time.monotonic() - self._looked_at
        if refused:
            found.append(f"events refused so far: {refused}, the last for {self._sender.refusal}")
        if self.thread is not None and still > _STILL_SECONDS:
            found.append(f"the thread that sends has not run for {still:.0f} seconds")
        return found

    def start(self) -> bool:
        """Start the thread, unless another caller is starting it; returns whether there is or will be one."""
        if self.thread is not None or not self._starting.acquire(blocking=False):
            return True
        try:
            if self.thread is None:
                self._wake, self._looked_at = Bell(), time.monotonic()
                self._sender.begin()
                thread = threading.Thread(target=self._run, name="model-sidecar client", daemon=True)
                self.thread, self.more_at = thread, self._options.queue_events
                try:
                    thread.start()
                except RuntimeError:
                    self.thread, self.more_at = None, 0  # no thread can be started now; the next event tries again
                    return False
                close_with_multiprocessing()
            return True
        finally:
            self._starting.release()

    def _send_here(self, end: float) -> None:
        """Send from this thread, each body once, when no other can start because the interpreter ends."""
        self._sender.stop()
        while self.queue and time.monotonic() < end:
            self._send()

    def _drop_rest(self) -> None:
        with self._sender.moving:
            while self.queue:
                rest, sent = take(self.queue, self._options.queue_events)
                if rest:
                    self.counts.drop("closed", len(rest))
                if sent is not None:
                    sent.passed = True

    def _rouse(self) -> None:
        self.more_at = 0 if self._stopping else self._options.queue_events
        self._wake.ring()

    def _run(self) -> None:
        try:
            self._send_until_stopped()
        finally:  # in the middle of anything, where it is a greenlet that is killed
            self.more_at = 0
            self._sender.end()
            if not self._stopping:
                self.thread = None  # the next event starts another

    def _send_until_stopped(self) -> None:
        pace = Pace(self._options.batch_events, self._options.flush_seconds, now=time.monotonic())
        while not self._stopping:
            self._looked_at = time.monotonic()
            self._wait(pace)
            everything = self._hurried or pace.due(time.monotonic())
            if self._urgent:
                self._urgent, everything = False, True
            # What comes meanwhile waits for its own batch, or each would be as small as the answers are fast.
            left = len(self.queue) if everything else 0
            while (left > 0 or len(self.queue) >= self._options.batch_events) and not self._stopping:
                left -= self._send()
            if everything:
                pace.sent_all(time.monotonic())
            if time.monotonic() >= self._reported_at + _REPORT_SECONDS:
                self._report()

    def _wait(self, pace: Pace) -> None:
        """Wait for a batch, for the time to send less than one, or for a flush."""
        self.more_at = 0 if self._hurried else self.wake_at  # set before it looks, so that a later event wakes it
        began, queued = time.monotonic(), len(self.queue)
        if queued < (1 if self._hurried else self._options.batch_events) and not self._urgent:
            self._wake.wait(pace.seconds(queued, began))
            pace.waited(time.monotonic() - began, len(self.queue) - queued)
        self.more_at = self._options.queue_events

    def _send(self) -> int:
        """Send a batch; returns how much was taken off the queue."""
        self._looked_at = time.monotonic()
        with self._sender.moving:
            batch, sent = take(self.queue, self._options.batch_events)
            self._sender.in_hand = len(batch)
        if batch:
            self._sender.send(batch)
        if sent is None:
            return len(batch)
        sent.passed = True
        return len(batch) + 1

    def _report(self) -> None:
        """Say how many events were dropped and refused, if there are more than were said before."""
        stats = self.counts.stats(queued=0)
        lost = sum(stats.dropped.values()) + stats.rejected
        if lost > self._reported:
            self._reported, self._reported_at = lost, time.monotonic()
            if stats.dropped:
                log.warning("events dropped so far: %s", stats.dropped)
            if stats.rejected:
                log.warning("events refused so far: %d, the last for %s", stats.rejected, self._sender.refusal)
