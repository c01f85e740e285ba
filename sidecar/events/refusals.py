"""Refusals: events and labels that are not taken, one by one or a body at once, and the reasons that metrics name."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from sidecar.exposition.catalogue import BodyReason, LabelReason

MOST_ERRORS = 10
"""Refusals listed in an answer; all are counted."""


class Unreadable(Exception):
    """The body is not what its form says; nothing of it is counted."""

    reason: BodyReason = "unreadable"


class Unsupported(Unreadable):
    """The form is not supported for this kind of body, or needs an extra that is not installed."""


class TooMany(Exception):
    """The body holds more events, labels or values than the limit; nothing of it is counted.

    Values are events times the columns of their model, whether they are there or missing: what a body becomes.
    """

    def __init__(self, most: int, what: Literal["events", "labels", "values"]) -> None:
        told = "values, its events times their columns: send fewer events in one" if what == "values" else what
        super().__init__(f"the body holds more than {most} {told}")
        self.reason: BodyReason = "too_many_labels" if what == "labels" else "too_many_events"


BodyRefused = (Unreadable, TooMany)
"""What refuses a body as a whole; `reason` is the one for metrics."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused event: its index in the body, the path of the field, the reason for people, the kind for metrics."""

    index: int
    path: str
    reason: str
    kind: LabelReason = "invalid"


class Refusals(msgspec.Struct):
    """The refused events of one body: the first few in full, all of them in numbers."""

    first: list[Refusal] = []
    by_kind: dict[LabelReason, int] = {}
    total: int = 0

    def add(self, refusal: Refusal, *, events: int = 1) -> None:
        """Count a refusal that stands for one or more events."""
        if len(self.first) < MOST_ERRORS:
            self.first.append(refusal)
        self.by_kind[refusal.kind] = self.by_kind.get(refusal.kind, 0) + events
        self.total += events
