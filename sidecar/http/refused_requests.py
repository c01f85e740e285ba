"""Requests that a listener refuses before anything looks at what they ask for: counted all, logged now and then."""

from collections.abc import Callable, Iterable

from sidecar.base.log import Log

log = Log("sidecar.listener")

SILENCE_SECONDS = 10.0
"""Time between two lines about one listener and reason; the next line counts those in between."""


class RefusedRequests:
    """Count the refused requests of a process. `counts` is by listener and reason."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.counts: dict[tuple[str, str], int] = {}
        self._told: dict[tuple[str, str], tuple[int, float]] = {}

    def open(self, listener: str, reasons: Iterable[str]) -> None:
        """Begin to export the counters of a listener, from zero."""
        for reason in reasons:
            self.counts.setdefault((listener, reason), 0)

    def count(self, listener: str, reason: str, detail: str) -> None:
        """Count a request, and log it if it is time; `detail` is cut short."""
        key = listener, reason
        self.counts[key] = total = self.counts.get(key, 0) + 1
        told, silent_until = self._told.get(key, (0, float("-inf")))
        now = self._clock()
        if now >= silent_until:
            log.warning("refused", listener=listener, reason=reason, requests=total - told, detail=detail[:200])
            self._told[key] = total, now + SILENCE_SECONDS
