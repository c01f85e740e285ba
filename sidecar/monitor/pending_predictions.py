"""Pending: predictions that wait for their label, in a ring of a fixed size.

Ids are kept as 64-bit digests, so that an entry costs the same however long its id is. With ten million predictions
the chance that any two share a digest is three in a million.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import IntEnum
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.events.batch import Identifier
from sidecar.statistics.bins import Floats, Indices
from sidecar.statistics.buffers import StateError, buffer, from_buffer


def digest(text: Identifier) -> int:
    """Return 64 bits that stand for a text; an integer is the same as its text.

    >>> digest(7) == digest("7") != digest("07")
    True
    """
    return digests([text])[0]


def digests(texts: Iterable[Identifier]) -> list[int]:
    """Return the digest of each text."""
    encoded = [str(text).encode("utf-8", "surrogatepass") for text in texts]
    found = [blake2b(data, digest_size=8).digest() for data in encoded]
    values: list[int] = np.frombuffer(b"".join(found), "<i8").tolist()
    return values


class Said(IntEnum):
    """What a prediction was."""

    NOTHING = 0
    CLASS = 1
    NUMBER = 2


class Saying(NamedTuple):
    """What a prediction was.

    `class_index` says which of the classes that are told apart it was, `class_digest` which one exactly; `number` is
    of a prediction that is one.
    """

    said: int
    class_index: int
    class_digest: int
    number: float


class PendingState(msgspec.Struct, frozen=True):
    """What Pending hold, oldest first, as arrays of a little-endian kind each; see `_KINDS`."""

    columns: list[memoryview]


_KINDS = ("<i8", "<f8", "|b1", "<i1", "<i2", "<i8", "<f8", "<f8")
"""Of digests of ids, times, whether labelled, what was said, index and digest of the class, number and probability."""


class Pending:
    """Keep the last `most` predictions, each for `ttl_seconds`, labelled or not.

    Predictions are numbered as they come; number `n` is at `n % most` of each array.
    """

    def __init__(self, most: int, ttl_seconds: float) -> None:
        self._most = most
        self._ttl_seconds = ttl_seconds
        self._numbers: dict[int, int] = {}
        self._oldest = self._next = 0
        self._columns: list[NDArray[Any]] = [np.zeros(most, kind[1:]) for kind in _KINDS]
        self._key, self._kept_at, self._labelled, *self._of_saying, self._probability = self._columns
        self.waiting = 0

    def __len__(self) -> int:
        return self._next - self._oldest

    def expire(self, *, now: float) -> list[tuple[float, int]]:
        """Forget predictions whose time is over; returns when that was, in order, and how many of them had no label."""
        kept, ttl = range(self._oldest, self._next), self._ttl_seconds
        if not kept or self._kept_at[self._oldest % self._most] + ttl > now:
            return []
        count = bisect_right(kept, now, key=lambda number: self._kept_at[number % self._most] + ttl)
        at = self._places(self._oldest, count)
        times, counts = np.unique(self._kept_at[at][~self._labelled[at]], return_counts=True)
        self._forget(count)
        return list(zip((times + ttl).tolist(), counts.tolist(), strict=True))

    def keep(
        self, keys: Sequence[int], sayings: Sequence[Saying], probabilities: Floats, *, now: float
    ) -> tuple[int, int]:
        """Keep predictions by the digests of their ids; the first of an id is the one that counts.

        A probability that was not given is NaN. Returns how many were not the first of their id, and how many without
        a label had to make room.
        """
        repeated = evicted = 0
        for first in range(0, len(keys), self._most):
            part = slice(first, first + self._most)
            fresh = dict(zip(keys[part], sayings[part], strict=True))
            likely = probabilities[part]
            if len(fresh) < len(likely) or not self._numbers.keys().isdisjoint(fresh.keys()):
                places: dict[int, int] = {}
                for place, key in enumerate(keys[part], start=first):
                    if key not in self._numbers:
                        places.setdefault(key, place)
                repeated += len(likely) - len(places)
                fresh = {key: sayings[place] for key, place in places.items()}
                likely = probabilities[list(places.values())]
            evicted += self._forget(max(0, len(self) + len(fresh) - self._most))
            if fresh:
                self._append(fresh, likely, now)
        return repeated, evicted

    def find(self, key: int) -> int | None:
        """Return the number of the prediction with this digest, if it is kept."""
        return self._numbers.get(key)

    def saying(self, number: int) -> Saying:
        """Return what a prediction was."""
        at = number % self._most
        return Saying(*[column.item(at) for column in self._of_saying])

    def probability(self, number: int) -> float:
        """Return the probability of a prediction, NaN where there was none."""
        return float(self._probability[number % self._most])

    def labelled(self, number: int) -> bool:
        """Tell whether a prediction has its label."""
        return bool(self._labelled[number % self._most])

    def settle(self, number: int) -> None:
        """Note that a prediction has its label."""
        self._labelled[number % self._most] = True
        self.waiting -= 1

    def _append(self, fresh: dict[int, Saying], probabilities: Floats, now: float) -> None:
        numbers = range(self._next, self._next + len(fresh))
        at = self._places(numbers.start, len(numbers))
        self._numbers.update(zip(fresh, numbers, strict=True))
        self._key[at] = list(fresh)
        self._kept_at[at] = now
        self._labelled[at] = False
        for column, values in zip(self._of_saying, zip(*fresh.values(), strict=True), strict=True):
            column[at] = values
        self._probability[at] = probabilities
        self._next = numbers.stop
        self.waiting += len(fresh)

    def _forget(self, count: int) -> int:
        """Forget the oldest predictions, and return how many of them had no label."""
        if not count:
            return 0
        at = self._places(self._oldest, count)
        for key in self._key[at].tolist():
            del self._numbers[key]
        self._oldest += count
        unlabelled = count - int(self._labelled[at].sum())
        self.waiting -= unlabelled
        return unlabelled

    def _places(self, first: int, count: int) -> Indices:
        return np.arange(first, first + count) % self._most

    def state(self) -> PendingState:
        """Return a copy of everything that `restore` wants."""
        at = self._places(self._oldest, len(self))
        return PendingState([buffer(column[at], kind) for column, kind in zip(self._columns, _KINDS, strict=True)])

    def restore(self, state: PendingState, *, classes: int) -> None:
        """Resume from a state with the same settings and number of classes; raises StateError for an invalid one."""
        if len(state.columns) != len(_KINDS):
            raise StateError(f"{len(state.columns)} columns of predictions where there are {len(_KINDS)}")
        count = state.columns[0].nbytes // 8
        columns = [from_buffer(data, kind, count) for data, kind in zip(state.columns, _KINDS, strict=True)]
        key, kept_at, labelled, said, class_index, *_ = columns
        numbers = dict(zip(key.tolist(), range(count), strict=True))
        if count > self._most or len(numbers) < count or not (np.diff(kept_at) >= 0).all():
            raise StateError("predictions are more than may be kept, have an id twice, or are not in order")
        if not (np.isin(said, list(Said)).all() and ((class_index >= 0) & (class_index <= classes)).all()):
            raise StateError("a prediction is of no kind or class that there is")
        for column, values in zip(self._columns, columns, strict=True):
            column[:count] = values
        self._oldest, self._next, self._numbers = 0, count, numbers
        self.waiting = count - int(labelled.sum())
