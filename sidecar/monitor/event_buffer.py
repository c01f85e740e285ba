"""Waiting: events of small bodies, until there are enough to count together.

Counting costs by the call as much as by the event: some fifty calls of NumPy, whether for one event or for thousands.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from sidecar.events.batch import Batch, Event, Identified
from sidecar.events.columns import MANY_EVENTS, batch_of_events
from sidecar.statistics.bins import Coded

_MOST_VALUES = 16_384
"""Numbers that wait in columns: so many have their bins found together."""

_MOST_BATCHES = 256
"""Columns of bodies that wait: with more of them nothing is saved, and to put them together takes long at once."""

_FEW_ROWS = 64
"""Rows of which texts are looked up at less cost than codes are counted apart."""

_MOST_BYTES = 8 * 2**20
"""Length of the bodies of what waits: texts and ignored values, which are no numbers, are bounded by it."""


class Waiting:
    """What waits. `full` says that it is to be counted now."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._columns: list[Batch] = []
        self._values = self._bytes = 0
        self.full = False

    def add(self, events: Sequence[Event], batch: Batch | None, *, body_bytes: int) -> None:
        """Have events wait, as they were decoded or as columns; they came in `body_bytes`."""
        self._events += events
        self._bytes += body_bytes
        if len(self._events) >= MANY_EVENTS:
            self._to_columns()
        if batch is not None:
            if batch.schema.learning or batch.schema.ids:
                self._to_columns()  # as what came first is learned from first, and is what counts of an id
            self._add(batch)
        if self._bytes >= _MOST_BYTES:
            self.full = True

    def take(self) -> list[Batch]:
        """Return what waits, in as few batches as can be, and let nothing wait."""
        self._to_columns()
        alike: dict[int, list[Batch]] = {}
        for batch in self._columns:
            alike.setdefault(id(batch if _coded(batch) else batch.schema), []).append(batch)
        self._columns, self._values, self._bytes, self.full = [], 0, 0, False
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
        # Columns with codes cannot be put together, and keep all their texts and their whole body.
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
    """Tell whether a column has codes, which mean something else in every body."""
    return any(isinstance(column, Coded) for column in batch.categorical)


def _merged(alike: Sequence[Batch]) -> Batch:
    """Put batches of one schema, none of them coded, after one another."""
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
