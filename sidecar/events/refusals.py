"""Refusals: events and labels that are not taken, one by one or a body at once, and the reasons that metrics name."""

from dataclasses import dataclass

import msgspec

MOST_ERRORS = 10
"""Refusals told in an answer; all are counted."""


class Unreadable(Exception):
    """The body is not what its form says; nothing of it is counted."""


class Unsupported(Unreadable):
    """The form is not one for what is sent, or needs what is not installed."""


class TooManyEvents(Exception):
    """The body holds more events, or labels, than the limit; nothing of it is counted."""

    @classmethod
    def of(cls, most: int, what: str) -> "TooManyEvents":
        """Return the error of a body past a limit."""
        return cls(f"the body holds more than {most} {what}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused event: its index in the body, the path of the field, the reason for people, the kind for metrics."""

    index: int
    path: str
    reason: str
    kind: str = "invalid"


class Refusals(msgspec.Struct):
    """The refused events of one body: the first few in full, all of them in numbers."""

    first: list[Refusal] = []
    by_kind: dict[str, int] = {}
    total: int = 0

    def add(self, refusal: Refusal, *, events: int = 1) -> None:
        """Count a refusal that stands for one or more events."""
        if len(self.first) < MOST_ERRORS:
            self.first.append(refusal)
        self.by_kind[refusal.kind] = self.by_kind.get(refusal.kind, 0) + events
        self.total += events
