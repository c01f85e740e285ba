"""What a body comes to: its good events and its refusals."""

import msgspec

from sidecar.events.batch import Batch, Event
from sidecar.events.columns import Misfit
from sidecar.events.refusals import Refusal, Refusals


class Decoded(msgspec.Struct):
    """The good events of a body, as rows or as one batch of columns, and the refused ones."""

    events: list[Event] = []
    batch: Batch | None = None
    refusals: Refusals = msgspec.field(default_factory=Refusals)

    @classmethod
    def refused(cls, misfit: Misfit) -> "Decoded":
        """Return a body that is refused as a whole, because its columns do not fit together."""
        decoded = cls()
        decoded.refusals.add(Refusal(0, misfit.path, misfit.reason), events=max(1, misfit.events))
        return decoded

    @property
    def accepted(self) -> int:
        """Number of good events."""
        return len(self.events) + (self.batch.events if self.batch else 0)
