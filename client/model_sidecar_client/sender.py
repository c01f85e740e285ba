"""What is tried again, what is given up, and how it is counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from model_sidecar_client.bell import Bell
from model_sidecar_client.counts import Counts
from model_sidecar_client.event import Event, Label
from model_sidecar_client.wire.encode import Body, bodies
from model_sidecar_client.wire.transport import Overloaded, TooLarge, Transport, TransportError, Unanswered, Unreachable

GIVE_UP_SECONDS = 30.0
"""How long a body is sent again and again before its events are dropped."""

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


log = logging.getLogger("model_sidecar_client")


class Sender:
    """Send batches of events, each until it is answered or given up.

    `in_hand` is the number of events that were taken off the queue and have not been settled.
    """

    def __init__(self, way: Transport, counts: Counts, model: str | None) -> None:
        self._way = way
        self._counts = counts
        self._model = model
        self._stopped = False
        self._stop = Bell()
        self.in_hand = 0
        self.refusal: str | None = None
        """Why the sidecar refused the event that it refused last."""
        # Held while events move from one counter to another, so that a sum sees each once; never by `log`.
        self.moving = threading.RLock()

    def send(self, events: Sequence[Event | Label]) -> None:
        """Send events, and count what became of each; returns when that is known."""
        try:
            self._send(events)
        except Exception:
            # A bug here must neither end the thread nor go unseen.
            log.exception("events could not be sent")
            self._drop("failed", self.in_hand)

    def begin(self) -> None:
        """Make what the thread that is about to start waits on."""
        self._stop = Bell()

    def stop(self) -> None:
        """Retry without waiting: what the next try does not send is dropped."""
        self._stopped = True
        self._stop.ring()

    def end(self) -> None:
        """Close the connection, and count what was being sent as dropped."""
        self.close()
        if self.in_hand:
            self._drop("closed" if self._stopped else "failed", self.in_hand)

    def close(self) -> None:
        """Close the connection."""
        self._way.close()

    def _send(self, events: Sequence[Event | Label]) -> None:
        made, unfit = bodies(events, self._model)
        if unfit:
            self._drop("invalid", unfit)
        for body in made:
            if len(body.content) > self._way.most_bytes:
                self._split(body)
            else:
                self._deliver(body)

    def _split(self, body: Body) -> None:
        """Send a body that is too large in parts, as many as it takes."""
        events = body.events
        if len(events) == 1:
            self._drop("too_large", 1)
            return
        parts = max(2, -(-len(body.content) * 5 // (self._way.most_bytes * 4)))
        size = max(1, len(events) // parts)
        for first in range(0, len(events), size):
            self._send(events[first : first + size])

    def _deliver(self, body: Body) -> None:
        give_up = time.monotonic() + GIVE_UP_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = self._way.send(body)
            except TooLarge:
                self._split(body)
                return
            except Unanswered:
                self._drop("unanswered", len(body.events))
                return
            except (Unreachable, Overloaded) as error:
                pause = error.retry_after_seconds if isinstance(error, Overloaded) else pause
                if self._given_up(error, body, give_up - time.monotonic(), pause):
                    return
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                with self.moving:
                    self.in_hand -= len(body.events)
                    self._counts.answer(accepted=answer.accepted, rejected=answer.rejected)
                self.refusal = answer.reason or self.refusal
                return

    def _given_up(self, error: TransportError, body: Body, seconds_left: float, pause: float) -> bool:
        """Wait before the next try; where there is to be none, count the events as dropped and return true."""
        if pause <= seconds_left and not self._stopped and not self._stop.wait(pause):
            return False
        reason = "overload" if isinstance(error, Overloaded) else "unreachable"
        self._drop("closed" if self._stopped else reason, len(body.events))
        return True

    def _drop(self, reason: str, events: int) -> None:
        with self.moving:
            self.in_hand -= events
            self._counts.drop(reason, events)
