"""Event buffer: events of small bodies, until there are enough to count together or half a second is over.

Counting costs by the call as much as by the event: some fifty calls of NumPy, whether for one event or for thousands.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from sidecar.events.batch import Batch, Event, Identified
from sidecar.events.columns import MANY_EVENTS, batch_of_events
from sidecar.statistics.bins import Coded

_MOST_VALUES = 16_384
"""Numbers held in columns before they are counted together."""

_MOST_BATCHES = 256
"""Bodies held as columns: more of them save nothing, and take long to concatenate."""

_FEW_ROWS = 64
"""Up to so many rows, expanding codes to strings is cheaper than counting them apart."""

_MOST_BYTES = 8 * 2**20
"""Length of the bodies held: it bounds texts and ignored values, which are not counted as numbers."""

_LONGEST_WAIT_SECONDS = 0.5


class EventBuffer:
    """Events in arrival order, those of small bodies as objects and the others as columns.

    `full` says that they are to be counted now. `last` is when the last of them came.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._columns: list[Batch] = []
        self._values = self._bytes = 0
        self._since: float | None = None
        self.last = 0.0
        self.full = False

    @property
    def empty(self) -> bool:
        """Say whether no events are held."""
        return self._since is None

    def due(self, now: float) -> bool:
        """Say whether the first event has waited for as long as it may."""
        return self._since is not None and now > self._since + _LONGEST_WAIT_SECONDS

    def add(self, events: Sequence[Event], batch: Batch | None, *, body_bytes: int, now: float) -> None:
        """Hold the events of a body, as they were decoded or as columns."""
        if self._since is None:
            self._since = now
        self.last = now
        self._events += events
        self._bytes += body_bytes
        if len(self._events) >= MANY_EVENTS:
            self._to_columns()
        if batch is not None:
            if batch.schema.learning or batch.schema.ids:
                self._to_columns()  # learning, and the joining of labels, depend on the order of arrival
            self._add(batch)
        if self._bytes >= _MOST_BYTES:
            self.full = True

    def take(self) -> list[Batch]:
        """Return all events in as few batches as possible, and hold none."""
        self._to_columns()
        alike: dict[int, list[Batch]] = {}
        for batch in self._columns:
            alike.setdefault(id(batch if _coded(batch) else batch.schema), []).append(batch)
        self._columns, self._values, self._bytes, self._since, self.full = [], 0, 0, None, False
        return [_merged(group) for group in alike.values()]

    def _to_columns(self) -> None:
        events, self._events = self._events, []
        for batch in batches(events) if events else ():
            self._add(batch)

    def _add(self, batch: Batch) -> None:
        if batch.rows <= _FEW_ROWS:
            batch.categorical = [list(column) if isinstance(column, Coded) else column for column in batch.categorical]
        self._columns.append(batch)
        self._values += batch.events * (1 + len(batch.numeric) + len(batch.categorical))
        many = self._values >= _MOST_VALUES or len(self._columns) >= _MOST_BATCHES
        # Coded columns cannot be concatenated, and keep all their texts and their whole body.
        self.full = self.full or many or batch.schema.learning or _coded(batch)


def batches(events: Sequence[Event]) -> list[Batch]:
    """Turn events of any models into columns, a batch for each schema, in the order the schemas first come up."""
    if len(set(map(type, events))) == 1:
        return [batch_of_events(events)]
    by_type: dict[type, list[Event]] = {}
    for event in events:
        by_type.setdefault(type(event), []).append(event)
    return [batch_of_events(group) for group in by_type.values()]


def _coded(batch: Batch) -> bool:
    """Say whether a column is coded: codes mean something else in every body."""
    return any(isinstance(column, Coded) for column in batch.categorical)


def _merged(alike: Sequence[Batch]) -> Batch:
    """Concatenate batches of one schema, none of them coded."""
    if len(alike) == 1:
        return alike[0]
    return Batch(
        schema=alike[0].schema,
        events=sum(batch.events for batch in alike),
        errors=sum(batch.errors for batch in alike),
        latency_seconds=np.concatenate([batch.latency_seconds for batch in alike]),
        rows=sum(batch.rows for batch in alike),
        numeric=np.concatenate([batch.numeric for batch in alike], axis=1),
        categorical=[list(chain(*columns)) for columns in zip(*(batch.categorical for batch in alike), strict=True)],
        unknown=sum(batch.unknown for batch in alike),
        identified=Identified(
            list(chain(*(batch.identified.ids for batch in alike))),
            list(chain(*(batch.identified.predictions for batch in alike))),
            list(chain(*(batch.identified.probabilities for batch in alike))),
        ),
    )
