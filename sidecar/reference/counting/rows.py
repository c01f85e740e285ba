"""Counting: rows in agreed bins, a batch at a time, up to the profile of all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from sidecar.reference.counting.blocks import Blocks
from sidecar.reference.counting.by_clock import ByClock, Span
from sidecar.reference.counting.counts import Counted, FeatureSpec, Moments, Wanted, assemble, first_bins
from sidecar.reference.profile import Profile
from sidecar.statistics.bins import CategoricalBins, Coded, Floats, NumericBins, quantile_edges, top_categories
from sidecar.statistics.season import Season

Column = Floats | list[str | None] | Coded
"""A numeric column (NaN is missing) or a categorical one (None is missing)."""


def spec_of(wanted: Wanted, column: Column, *, bins: int, categories: int) -> FeatureSpec:
    """Choose bins for a column: quantiles of numbers, the commonest categories of text.

    A column of missing values alone is categorical without categories, so that it takes whatever comes.
    """
    if isinstance(column, list | Coded):
        return FeatureSpec(
            wanted, CategoricalBins(top_categories((v for v in column if isinstance(v, str)), categories))
        )
    present = column[~np.isnan(column)]
    if present.size == 0 and wanted.name != "probability":
        return FeatureSpec(wanted, CategoricalBins(()))
    return FeatureSpec(wanted, NumericBins(quantile_edges(present, bins)))


def block_rows(window_rows: int, rows: int) -> int:
    """Limit the block for the design effect so that there are at least ten of them."""
    return max(1, min(window_rows, rows // 10))


@dataclass(slots=True)
class Counting:
    """Count batches of columns into agreed bins, keeping counts of blocks for the design effect.

    Blocks are `window_rows` rows each or, with `window_seconds`, the rows of such stretches of the clock, in whatever
    order they come. Memory is bounded: past 4,096 blocks (fewer with very many bins) every second one is forgotten.
    With a `season`, which goes with `window_seconds`, rows are counted by its slots too.
    """

    specs: list[FeatureSpec]
    window_rows: int
    window_seconds: float | None = None
    season: Season | None = None
    _starts: NDArray[np.intp] = field(init=False)
    _moments: list[Moments] = field(init=False)
    _blocks: Blocks | ByClock = field(init=False)

    def __post_init__(self) -> None:
        self._starts = first_bins(self.specs)
        self._moments = [Moments() for _ in self.specs]
        if self.window_seconds is None:
            bins = sum(spec.bins.size for spec in self.specs)
            self._blocks = Blocks(self._starts, bins, block_rows=self.window_rows)
        else:
            self._blocks = ByClock(self.specs, self.window_seconds, self.season)

    def add(self, columns: Mapping[str, Column], times: Floats | None = None) -> None:
        """Count one batch; every column has the same length, and so have `times`, in seconds, where blocks need them.

        A row whose time is NaN, or of no year from 1 to 9999, is in no block and in no slot.
        """
        indices = []
        for spec, start, moments in zip(self.specs, self._starts, self._moments, strict=True):
            column = columns[spec.wanted.column]
            if isinstance(spec.bins, CategoricalBins):
                values = (
                    column if isinstance(column, list | Coded) else [None if v != v else v for v in column.tolist()]
                )
                indices.append(spec.bins.index(values) + start)
            else:
                numbers = np.asarray(column, dtype=np.float64)
                moments.add(numbers)
                indices.append(spec.bins.index(numbers) + start)
        stacked = np.stack(indices)
        if isinstance(self._blocks, Blocks):
            self._blocks.add(stacked)
        else:
            assert times is not None
            self._blocks.add(stacked, times)

    @property
    def span(self) -> Span:
        """The first and the last time; of nothing where blocks are not of the clock."""
        return Span() if isinstance(self._blocks, Blocks) else self._blocks.span

    def counted(self) -> Counted:
        """Return everything counted, with its design effects."""
        return self._blocks.counted(self._moments)

    def profile(self, *, model: str, model_version: str, source: str, created: datetime | None = None) -> Profile:
        """Return the profile of everything counted; raises ProfileError if that is nothing."""
        return assemble(
            self.specs, self.counted(), model=model, model_version=model_version, source=source, created=created
        )
