"""Counting inside an engine: what is asked of it for the bins of every feature, and what its answers mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
from numpy.typing import NDArray

from sidecar.reference.counting.counts import FeatureSpec, Wanted
from sidecar.statistics.bins import NumericBins

LARGEST = "1.7976931348623157e308"


@dataclass(frozen=True, slots=True)
class Read:
    """A column and how it is read: `values` is finite float64 or text, NULL where a value is missing."""

    wanted: Wanted
    numeric: bool
    values: Any


def double(text: str) -> Any:
    """Return a literal, written as text: some engines read 0.1 as a decimal, and round it a second time."""
    return ibis.literal(text).cast("float64")


def _marks(read: Read, spec: FeatureSpec, value: Any) -> dict[str, Any]:
    """Return what to count for a feature: values up to each edge, or each category; and all that are there."""
    if isinstance(spec.bins, NumericBins):
        parts = [value <= double(repr(edge)) for edge in spec.bins.edges.tolist()]
    else:
        parts = [value == ibis.literal(category) for category in spec.bins.categories]
    return {f"m{i}": part for i, part in enumerate([*parts, value.notnull()])}


def _bin_counts(spec: FeatureSpec, marks: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn what was counted (shape `(blocks, marks)`) into counts of bins, `missing` last."""
    present = marks[:, -1]
    if isinstance(spec.bins, NumericBins):
        inner = np.diff(marks, axis=1, prepend=0)
    else:
        inner = np.column_stack([marks[:, :-1], present - marks[:, :-1].sum(axis=1)])
    return np.column_stack([inner, rows - present])


def marked(table: ibis.Table, reads: Sequence[Read], specs: Sequence[FeatureSpec]) -> dict[str, Any]:
    """Return the aggregates of all features over a table that has their values as `v0`, `v1` and so on."""
    return {
        f"f{i}_{name}": mark.ifelse(1, 0).sum()
        for i, (read, spec) in enumerate(zip(reads, specs, strict=True))
        for name, mark in _marks(read, spec, table[f"v{i}"]).items()
    }


def counts_of(found: Any, specs: Sequence[FeatureSpec]) -> NDArray[np.int64]:
    """Return the counts of all bins, a row for each row of the answer: shape `(groups, bins)`."""
    rows = found["rows"].to_numpy(dtype=np.int64)
    counts = []
    for i, spec in enumerate(specs):
        names = [name for name in found.columns if name.startswith(f"f{i}_")]
        counts.append(_bin_counts(spec, found[names].fillna(0).to_numpy(dtype=np.int64), rows))
    return np.column_stack(counts)
