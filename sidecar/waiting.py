"""Waiting: events of small bodies, until there are enough to count together.

Counting costs by the call as much as by the event: some fifty calls of NumPy, whether for one event or for thousands.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from sidecar.bins import Coded
from sidecar.columns import batch_of_events
from sidecar.event import Batch, Event, Identified

_MOST_EVENTS = 256
"""Events that wait as objects; as columns they take a tenth of that."""

_MOST_VALUES = 16_384
"""Numbers that wait in columns: so many have their bins found together."""


class Waiting:
    """What waits; true where there is anything. `full` says that it is to be counted now."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._columns: list[Batch] = []
        self._values = 0
        self.full = False

    def __bool__(self) -> bool:
        return bool(self._events or self._columns)

    def add(self, events: Sequence[Event], batch: Batch | None) -> None:
        """Have events wait, as they were decoded or as columns."""
        self._events += events
        if len(self._events) >= _MOST_EVENTS:
            self._to_columns()
        if batch is not None:
            if batch.schema.learning:
                self._to_columns()  # what came first is learned from first
            self._add(batch)

    def take(self) -> list[Batch]:
        """Return what waits, in as few batches as can be, and let nothing wait."""
        self._to_columns()
        taken: list[Batch] = []
        by_schema: dict[int, list[Batch]] = {}
        for batch in self._columns:
            if _coded(batch):
                taken.append(batch)
            else:
                by_schema.setdefault(id(batch.schema), []).append(batch)
        self._columns, self._values, self.full = [], 0, False
        return [*taken, *map(_merged, by_schema.values())]

    def _to_columns(self) -> None:
        events, self._events = self._events, []
        for batch in batches(events) if events else ():
            self._add(batch)

    def _add(self, batch: Batch) -> None:
        self._columns.append(batch)
        self._values += batch.events * (1 + len(batch.numeric) + len(batch.categorical))
        self.full = self.full or self._values >= _MOST_VALUES or batch.schema.learning


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
