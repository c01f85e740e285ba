"""Pace: when to look for a full batch, so that nobody who logs has to wake who sends.

Waking a thread takes the caller tens of microseconds, and one call in a batch would pay it.
"""

_SHORTEST_SECONDS = 0.005
_LONGEST_SECONDS = 1.0
"""A full batch waits no longer, however slowly events came before, and however long less than a batch may wait."""

_BEYOND_FULL = 1.1
"""How full a batch is to be when looked for, in batches: looking a little late takes one look, too early takes two."""


class Pace:
    """Tell how long to wait for a batch of `batch_events`, or for less when `flush_seconds` are over.

    `now` is in seconds of a clock that never goes back.
    """

    def __init__(self, batch_events: int, flush_seconds: float, *, now: float) -> None:
        self._wanted = batch_events * _BEYOND_FULL
        self._flush_seconds = max(flush_seconds, _SHORTEST_SECONDS)
        self._per_second = 0.0
        self._due_at = now + self._flush_seconds

    def due(self, now: float) -> bool:
        """Tell whether all that is queued is to be sent, be it less than a batch."""
        return now >= self._due_at

    def sent_all(self, now: float) -> None:
        """Restart the wait before less than a batch is sent."""
        self._due_at = now + self._flush_seconds

    def seconds(self, queued: int, now: float) -> float:
        """Return how long to wait with that many queued, at the recent rate of events."""
        left = min(max(self._due_at - now, 0.0), _LONGEST_SECONDS)
        if not self._per_second:
            return left
        return min(left, max((self._wanted - queued) / self._per_second, _SHORTEST_SECONDS))

    def waited(self, seconds: float, arrived: int) -> None:
        """Learn how many events came in a wait."""
        self._per_second = arrived / max(seconds, _SHORTEST_SECONDS)
