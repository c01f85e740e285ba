"""Samples: numbers to lines of text, a slice at a time, with what stands before the numbers written once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sidecar.base.cooperative import Steps
from sidecar.exposition.metric import Metric
from sidecar.exposition.text import lines, number, prefix

LabelValues = TypeVar("LabelValues", bound=tuple[str, ...])

_LINES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one family, to be written: each up to its value, and the values. NaN is left out."""

    prefixes: Sequence[bytes]
    values: NDArray[Any]

    def texts(self) -> Iterator[bytes]:
        """Write them, some at a time."""
        for first in range(0, len(self.prefixes), _LINES_AT_ONCE):
            prefixes = self.prefixes[first : first + _LINES_AT_ONCE]
            values = self.values[first : first + _LINES_AT_ONCE]
            shown = np.flatnonzero(values == values)
            if shown.size < values.size:
                prefixes, values = [prefixes[i] for i in shown.tolist()], values[shown]
            if prefixes:
                yield lines(prefixes, values.tolist())


@dataclass(frozen=True, slots=True)
class Written:
    """Samples that are written already."""

    parts: Sequence[bytes]

    def texts(self) -> Iterator[bytes]:
        """Return them, some at a time."""
        return iter(self.parts)


Families = dict[Metric, list[Samples | Written]]


def prefixes(metric: Metric, labels: Iterable[tuple[str, ...]]) -> Steps[list[bytes]]:
    """Write the samples of all of these label values up to their values, in steps."""
    found: list[bytes] = []
    for values in labels:
        found.append(prefix(metric.name, metric.labels, values).encode())
        if not len(found) % _LINES_AT_ONCE:
            yield
    return found


def written(metric: Metric, values: Mapping[LabelValues, float]) -> Written:
    """Write a sample for each of these label values."""
    return Written(
        [f"{prefix(metric.name, metric.labels, of)}{number(value)}\n".encode() for of, value in values.items()]
    )


def sample(metric: Metric, labels: tuple[str, ...], value: float) -> Written:
    """Write one sample."""
    return written(metric, {labels: value})
