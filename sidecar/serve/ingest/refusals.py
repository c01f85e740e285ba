"""Log why events are refused: one line at a time, however many there are."""

from collections.abc import Callable

from sidecar.base.log import Log
from sidecar.events.refusals import Refusals

log = Log("sidecar.listen")

SILENCE_SECONDS = 10.0
"""Time between two lines; the next line counts the refusals in between."""


class RefusalLog:
    """Tell of the first event that a transport refuses, and of later ones now and then."""

    def __init__(self, transport: str, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._clock = clock
        self._silent_until = float("-inf")
        self._untold = 0

    def tell(self, refusals: Refusals) -> None:
        """Log the refusals of a body, if there are any and it is time."""
        if refusals.total:
            first = refusals.first[0]
            self._tell(refusals.total, path=first.path, reason=first.reason)

    def tell_body(self, reason: str) -> None:
        """Log a body that could not be read or was too large, if it is time."""
        self._tell(1, path="$", reason=reason)

    def _tell(self, events: int, *, path: str, reason: str) -> None:
        self._untold += events
        now = self._clock()
        if now < self._silent_until:
            return
        log.warning("refused", transport=self._transport, events=self._untold, path=path, reason=reason)
        self._untold = 0
        self._silent_until = now + SILENCE_SECONDS
