"""Bins: which of a feature's bins a value falls in.

Every feature has a `missing` bin, always its last. A numeric value `x` is in bin `i` where
`edges[i-1] < x <= edges[i]`; the outer bins are open. A category that the reference does not list is `other`.
"""

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise, repeat
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
THIN_ROWS = 10
"""Rows below which a bin is put together with others where it can be."""

Category = str | bool | int | float | None

_UNLISTED = -1

_BLOCK_VALUES = 16_384
"""Values whose bins are found together, so that they stay in the cache of a core: 128 KiB."""

_MOST_COMPARED = 60
"""Edges with which values are compared at most; among more, a search is faster whatever the number of values."""


def category_text(value: str | bool | int | float) -> str:
    """Return the category that a value stands for: `true` and `false`, a number's shortest text, or the text itself.

    >>> [category_text(v) for v in ("visa", True, 1, 1.0, 0.5)]
    ['visa', 'true', '1', '1', '0.5']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return repr(value)


class Coded(Sequence[Category]):
    """A column of texts as `codes`, each an index into `texts` or -1 for what is missing."""

    def __init__(self, texts: Sequence[str], codes: NDArray[np.integer]) -> None:
        self.texts = tuple(texts)
        self.values = (*self.texts, None)  # -1 is the last
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Category]:
        return map(self.values.__getitem__, self.codes.tolist())

    @overload
    def __getitem__(self, at: int) -> Category: ...

    @overload
    def __getitem__(self, at: slice) -> "Coded": ...

    def __getitem__(self, at: int | slice) -> "Category | Coded":
        if isinstance(at, slice):
            return Coded(self.texts, self.codes[at])
        return self.values[int(self.codes[at])]


class NumericBins:
    """Bins of a numeric feature between strictly increasing, finite inner `edges`."""

    def __init__(self, edges: Sequence[float] | Floats) -> None:
        self.edges: Floats = np.asarray(edges, dtype=np.float64)
        # NaN sorts behind the +Inf put last, so that `missing` costs no extra step.
        self.upper = np.append(self.edges, np.inf)

    @property
    def size(self) -> int:
        """Number of bins, `missing` included."""
        return len(self.edges) + 2

    def index(self, values: Floats) -> Indices:
        """Return the bin of each value; NaN is missing."""
        return self.upper.searchsorted(values, side="left")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The `bin` label of each bin."""
        return (*_numbered(self.size - 1), "missing")

    @cached_property
    def ranges(self) -> tuple[str, ...]:
        """The `range` label of each bin, for people."""
        marks = ["-Inf", *_distinct_texts(self.edges), "+Inf"]
        pairs = [f"({low}, {high}]" for low, high in pairwise(marks)]
        pairs[-1] = pairs[-1][:-1] + ")"
        return (*pairs, "missing")


class NumericBlocks:
    """The bins of many numeric features at once, laid one after another.

    A search takes a branch a step, and a processor guesses half of them wrong. Where edges are few, every value is
    compared with every upper edge of its feature instead, which takes a third of the time.
    """

    def __init__(self, features: Sequence[NumericBins]) -> None:
        self._features = tuple(features)
        self._edges = np.array([feature.size - 1 for feature in features], dtype=np.intp)
        self._starts = np.cumsum(self._edges + 1) - self._edges - 1
        most = min(int(self._edges.max(initial=0)), _MOST_COMPARED)
        # NaN stands where a feature has no further edge: no value is below it, and a missing value is below none.
        self._upper = np.full((most, len(self._features), 1), np.nan)
        for i, feature in enumerate(self._features):
            edges = feature.upper[:most]
            self._upper[: len(edges), i, 0] = edges

    def index(self, values: Floats) -> Iterator[tuple[slice, int, Indices]]:
        """Find the bin of each value, given a row for each feature.

        Yields some features at a time, where their first bin lies, and their rows of bins, counted from that one.
        """
        step = max(1, _BLOCK_VALUES // max(1, values.shape[1]))
        for first in range(0, len(values), step):
            features = slice(first, min(first + step, len(values)))
            edges = int(self._edges[features].max())
            compared = edges <= _MOST_COMPARED and _comparing_is_faster(values[features].shape, edges)
            start = int(self._starts[first])
            starts = self._starts[features] - start
            yield features, start, (self._compared if compared else self._searched)(features, starts, values[features])

    def _compared(self, features: slice, starts: Indices, values: Floats) -> Indices:
        edges = self._edges[features]
        at_or_below = values <= self._upper[: int(edges.max()), features]
        bins: Indices = (starts + edges)[:, None] - at_or_below.view(np.uint8).sum(axis=0, dtype=np.uint8)
        return bins

    def _searched(self, features: slice, starts: Indices, values: Floats) -> Indices:
        bins = np.empty(values.shape, dtype=np.intp)
        for row, start, feature, column in zip(bins, starts, self._features[features], values, strict=True):
            np.add(feature.index(column), start, out=row)
        return bins


def _comparing_is_faster(shape: tuple[int, ...], edges: int) -> bool:
    """Weigh all comparisons against a call for every feature and a search for every value; the unit is a search."""
    features, rows = shape
    return 150 + 0.02 * edges * features * rows < features * (75 + rows)


_TRUTHS = {"1": "true", "true": "1", "0": "false", "false": "0"}


class CategoricalBins:
    """Bins of a categorical feature: one for each of `categories`, then `other`, then `missing`.

    Where the categories are `0` and `1`, or one of them, `false` and `true` are the same; and the other way round.

    >>> CategoricalBins(["0", "1"]).index([1, 1.0, True, "1", "true", False]).tolist()
    [1, 1, 1, 1, 1, 0]
    """

    def __init__(self, categories: Sequence[str]) -> None:
        self.categories = tuple(categories)
        self._other = len(self.categories)
        self._table: dict[Category, int] = {name: i for i, name in enumerate(self.categories)}
        self._table[None] = self._other + 1
        if {"0", "1"}.issuperset(self.categories) or {"false", "true"}.issuperset(self.categories):
            for i, name in enumerate(self.categories):
                self._table[_TRUTHS[name]] = i
                self._table[name in ("1", "true")] = i  # which is equal to the number

    @property
    def size(self) -> int:
        """Number of bins, `other` and `missing` included."""
        return len(self.categories) + 2

    def index(self, values: Iterable[Category]) -> Indices:
        """Return the bin of each value; `None` and NaN are missing."""
        if isinstance(values, Coded):
            bins: Indices = self.index(values.values)[values.codes]
            return bins
        values = values if isinstance(values, list | tuple) else list(values)
        found = np.fromiter(map(self._table.get, values, repeat(_UNLISTED)), np.intp, len(values))
        for i in np.flatnonzero(found == _UNLISTED):
            found[i] = self._unlisted(values[i])
        return found

    def category(self, value: Category) -> str | None:
        """Return the listed category that a value is, or its own text where none is; None for what is missing."""
        if value is None or value != value:
            return None
        at = int(self.index((value,))[0])
        return self.categories[at] if at < self._other else category_text(value)

    def _unlisted(self, value: Category) -> int:
        if isinstance(value, str):
            return self._other
        if value is None or value != value:
            return self._other + 1
        return self._table.get(category_text(value), self._other)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The `bin` label of each bin."""
        return (*_numbered(len(self.categories)), "other", "missing")

    @cached_property
    def ranges(self) -> tuple[str, ...]:
        """The `range` label of each bin, for people."""
        return (*self.categories, "other", "missing")


Bins = NumericBins | CategoricalBins


def quantile_edges(values: Floats, bins: int) -> Floats:
    """Choose inner edges for at most `bins` quantile bins, from values without NaN.

    Ties collapse. With at most `bins` distinct values each gets a bin of its own, between empty bins for
    what lies below and above, so that a constant that changes is seen.
    """
    finite = values[np.isfinite(values)]
    distinct, rows = np.unique(finite, return_counts=True)
    if distinct.size > bins:
        shares = np.arange(1, bins) / bins
        return np.unique(np.quantile(finite, shares, method="inverted_cdf"))
    return edges_around(distinct, rows)


def edges_around(distinct: Floats, rows: NDArray[Any]) -> Floats:
    """Choose inner edges around each of a few values, which ascend, and where all of them end, below and above.

    Values of few rows share a bin with those beside them that are of few rows too.
    """
    if distinct.size == 0:
        return distinct
    edges = _edges_around(distinct)
    apart = _apart(rows.tolist())
    return edges if edges.size != distinct.size + 1 else np.concatenate((edges[:1], edges[1:-1][apart], edges[-1:]))


def _apart(rows: Sequence[float]) -> list[bool]:
    """Tell of each two neighbours whether they have bins of their own, putting the thinnest pairs together first."""
    least = least_rows(math.fsum(rows))
    groups, apart = [(float(row), i) for i, row in enumerate(rows)], [True] * (len(rows) - 1)
    while pairs := [(a[0] + b[0], i) for i, (a, b) in enumerate(pairwise(groups)) if a[0] < least and b[0] < least]:
        together, i = min(pairs)
        apart[groups[i + 1][1] - 1] = False
        groups[i : i + 2] = [(together, groups[i][1])]
    return apart


def _edges_around(distinct: Floats) -> Floats:
    low, high = distinct[:-1], distinct[1:]
    middle = low / 2 + high / 2
    middle = np.where((low <= middle) & (middle < high), middle, low)
    first, last = float(distinct[0]), float(distinct[-1])
    if distinct.size > 1:
        margin = float(np.min(high / 2 - low / 2))
    else:
        margin = 0.5 if first.is_integer() else abs(first) * 1e-6
    limit = sys.float_info.max
    below = max(min(first - margin, math.nextafter(first, -math.inf)), -limit)
    above = min(last + margin, limit)
    return np.unique(np.concatenate(([below], middle, [above])))


def least_rows(rows: float) -> float:
    """Return how many of so many rows a bin should hold: ten, and fewer where all are fewer than 200.

    Of fewer, two samples can hardly be compared, and those that have a few by chance would be the ones chosen.
    """
    return min(THIN_ROWS, rows / 20)


def top_categories(values: Iterable[str], most: int) -> tuple[str, ...]:
    """Return the `most` common categories that have `least_rows`, commonest first, ties in alphabetical order."""
    return top_counted(Counter(values), most)


def top_counted(rows: Mapping[str, float], most: int) -> tuple[str, ...]:
    """Return what `top_categories` does of the rows of each."""
    least = least_rows(math.fsum(rows.values()))
    kept = [name for name, number in rows.items() if number >= least]
    return tuple(sorted(kept, key=lambda name: (-rows[name], name))[:most])


def _numbered(count: int) -> list[str]:
    width = max(2, len(str(count - 1)))
    return [f"{i:0{width}d}" for i in range(count)]


def _distinct_texts(edges: Floats) -> list[str]:
    for digits in range(6, 17):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(texts):
            return texts
    return [repr(float(edge)) for edge in edges]
