"""Pending: predictions that wait for their label, in a ring of a fixed size.

Ids are kept as 64-bit digests, so that an entry costs the same however long its id is. With ten million predictions
the chance that any two share a digest is three in a million.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import IntEnum
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sidecar.event import Identifier


def digest(text: Identifier) -> int:
    """Return 64 bits that stand for a text; an integer is the same as its text.

    >>> digest(7) == digest("7") != digest("07")
    True
    """
    data = str(text).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little", signed=True)


class Said(IntEnum):
    """What a prediction was."""

    NOTHING = 0
    CLASS = 1
    NUMBER = 2


class Prediction(NamedTuple):
    """What is kept of a prediction.

    `class_index` says which of the classes that are told apart it was, `class_digest` which one exactly; `number` is
    of a prediction that is one. `probability` is NaN where there was none.
    """

    said: Said
    class_index: int
    class_digest: int
    number: float
    probability: float


class Pending:
    """Keep the last `most` predictions, each for `ttl_seconds`, labelled or not.

    Predictions are numbered as they come; number `n` is at `n % most` of each array.
    """

    def __init__(self, most: int, ttl_seconds: float) -> None:
        self._most = most
        self._ttl_seconds = ttl_seconds
        self._numbers: dict[int, int] = {}
        self._oldest = self._next = 0
        self._key = np.zeros(most, np.int64)
        self._kept_at = np.zeros(most, np.float64)
        self._labelled = np.zeros(most, np.bool_)
        self._said = np.zeros(most, np.int8)
        self._class_index = np.zeros(most, np.int16)
        self._class_digest = np.zeros(most, np.int64)
        self._number = np.zeros(most, np.float64)
        self._probability = np.zeros(most, np.float64)
        self.waiting = 0

    def __len__(self) -> int:
        return self._next - self._oldest

    def expire(self, *, now: float) -> int:
        """Forget predictions whose time is over, and return how many of them had no label."""
        kept, over = range(self._oldest, self._next), now - self._ttl_seconds
        if not kept or self._kept_at[self._oldest % self._most] > over:
            return 0
        return self._forget(bisect_right(kept, over, key=lambda number: self._kept_at[number % self._most]))

    def keep(self, keys: Sequence[int], predictions: Sequence[Prediction], *, now: float) -> tuple[int, int]:
        """Keep predictions by the digests of their ids; the first of an id is the one that counts.

        Returns how many were not the first of their id, and how many without a label had to make room.
        """
        repeated = evicted = 0
        for first in range(0, len(keys), self._most):
            fresh: dict[int, Prediction] = {}
            for key, prediction in zip(keys[first : first + self._most], predictions[first:], strict=False):
                if key in self._numbers or key in fresh:
                    repeated += 1
                else:
                    fresh[key] = prediction
            evicted += self._forget(max(0, len(self) + len(fresh) - self._most))
            if fresh:
                self._append(fresh, now)
        return repeated, evicted

    def find(self, key: int) -> int | None:
        """Return the number of the prediction with this digest, if it is kept."""
        return self._numbers.get(key)

    def prediction(self, number: int) -> Prediction:
        """Return what is kept of a prediction."""
        at = number % self._most
        return Prediction(
            Said(int(self._said[at])),
            int(self._class_index[at]),
            int(self._class_digest[at]),
            float(self._number[at]),
            float(self._probability[at]),
        )

    def labelled(self, number: int) -> bool:
        """Tell whether a prediction has its label."""
        return bool(self._labelled[number % self._most])

    def settle(self, number: int) -> None:
        """Note that a prediction has its label."""
        self._labelled[number % self._most] = True
        self.waiting -= 1

    def _append(self, fresh: Mapping[int, Prediction], now: float) -> None:
        numbers = range(self._next, self._next + len(fresh))
        at = np.arange(numbers.start, numbers.stop) % self._most
        self._numbers.update(zip(fresh, numbers, strict=True))
        self._key[at] = list(fresh)
        self._kept_at[at] = now
        self._labelled[at] = False
        columns = zip(*fresh.values(), strict=True)
        arrays: tuple[NDArray[Any], ...] = (
            self._said,
            self._class_index,
            self._class_digest,
            self._number,
            self._probability,
        )
        for array, column in zip(arrays, columns, strict=True):
            array[at] = column
        self._next = numbers.stop
        self.waiting += len(fresh)

    def _forget(self, count: int) -> int:
        """Forget the oldest predictions, and return how many of them had no label."""
        if not count:
            return 0
        at = np.arange(self._oldest, self._oldest + count) % self._most
        for key in self._key[at].tolist():
            del self._numbers[key]
        self._oldest += count
        unlabelled = count - int(self._labelled[at].sum())
        self.waiting -= unlabelled
        return unlabelled
