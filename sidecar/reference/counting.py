"""Counting: rows in agreed bins, a batch at a time, up to the profile of all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sidecar import drift
from sidecar.bins import CategoricalBins, Coded, Floats, NumericBins, quantile_edges, top_categories
from sidecar.reference.counted import Counted, FeatureSpec, Moments, Wanted, assemble, first_bins
from sidecar.reference.profile import Profile

LEAST_BLOCK_ROWS = 200
"""Rows below which a stretch of the clock says nothing: no window with fewer is judged."""

LEAST_BLOCKS = 10
"""Stretches below which there is no telling how they differ."""

_MOST_BLOCKS = 4096
_MOST_BLOCK_CELLS = 8_000_000


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
    """

    specs: list[FeatureSpec]
    window_rows: int
    window_seconds: float | None = None
    rows: int = 0
    _counts: NDArray[np.int64] = field(init=False)
    _starts: NDArray[np.intp] = field(init=False)
    _moments: list[Moments] = field(init=False)
    _blocks: list[NDArray[np.int64]] = field(init=False, default_factory=list)
    _keep_every: int = field(init=False, default=1)
    _open: NDArray[np.int64] = field(init=False)
    _stretches: dict[int, NDArray[np.int64]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._starts = first_bins(self.specs)
        self._counts = np.zeros(sum(spec.bins.size for spec in self.specs), dtype=np.int64)
        self._open = np.zeros_like(self._counts)
        self._moments = [Moments() for _ in self.specs]

    def add(self, columns: Mapping[str, Column], times: Floats | None = None) -> None:
        """Count one batch; every column has the same length, and so have `times`, in seconds, where blocks need them.

        A row whose time is NaN is in no block.
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
        rows = len(indices[0])
        stacked = np.stack(indices)
        if self.window_seconds is not None:
            assert times is not None
            self._counts += np.bincount(stacked.ravel(), minlength=self._counts.size)
            self.rows += rows
            self._add_stretches(stacked, times / self.window_seconds)
            return
        first = 0
        while first < rows:
            room = self.window_rows - self.rows % self.window_rows
            last = min(rows, first + room)
            counts = np.bincount(stacked[:, first:last].ravel(), minlength=self._counts.size)
            self._counts += counts
            self._open += counts
            self.rows += last - first
            if self.rows % self.window_rows == 0:
                self._close_block()
            first = last

    def _add_stretches(self, indices: NDArray[np.intp], windows: Floats) -> None:
        there = np.isfinite(windows)
        numbers = np.floor(windows[there]).astype(np.int64)
        kept = numbers % self._keep_every == 0
        numbers, indices = numbers[kept], indices[:, there][:, kept]
        order = np.argsort(numbers, kind="stable")
        numbers, indices = numbers[order], indices[:, order]
        firsts = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
        for first, after in pairwise([*firsts.tolist(), numbers.size]):
            counts = np.bincount(indices[:, first:after].ravel(), minlength=self._counts.size)
            block = int(numbers[first])
            self._stretches[block] = self._stretches.get(block, 0) + counts
        while len(self._stretches) > most_blocks(self._counts.size):
            self._keep_every *= 2
            self._stretches = {n: c for n, c in self._stretches.items() if n % self._keep_every == 0}

    def stretches(self) -> NDArray[np.int64]:
        """Return the counts of each stretch of the clock that holds LEAST_BLOCK_ROWS, shape `(stretches, bins)`.

        The first and the last are left out: the data may begin and end within them.
        """
        inner = sorted(self._stretches)[1:-1]
        blocks = np.array([self._stretches[number] for number in inner]).reshape(-1, self._counts.size)
        return np.asarray(blocks[blocks[:, : self.specs[0].bins.size].sum(axis=1) >= LEAST_BLOCK_ROWS])

    def _effects(self) -> tuple[Floats, int]:
        """Return the design effects, and the rows of a typical block."""
        if self.window_seconds is None:
            blocks = np.array(self._blocks)
            effects = design_effects(blocks, self._counts, self._starts, window_rows=self.window_rows)
            return effects, self.window_rows
        blocks = self.stretches()
        rows = blocks[:, : self.specs[0].bins.size].sum(axis=1)
        return stretch_effects(blocks, self._counts, self._starts), int(np.median(rows)) if rows.size else 0

    def _close_block(self) -> None:
        if (self.rows // self.window_rows) % self._keep_every == 0:
            self._blocks.append(self._open.copy())
        self._open[:] = 0
        if len(self._blocks) > most_blocks(self._counts.size):
            self._blocks = self._blocks[1::2]
            self._keep_every *= 2

    def profile(self, *, model: str, model_version: str, source: str, created: datetime | None = None) -> Profile:
        """Return the profile of everything counted; raises ProfileError if that is nothing."""
        effects, window_rows = self._effects()
        return assemble(
            self.specs,
            Counted(self.rows, self._counts, effects, self._moments),
            window_rows=window_rows,
            model=model,
            model_version=model_version,
            source=source,
            created=created,
        )


def most_blocks(bins: int) -> int:
    """Return how many blocks are kept at the most, with so many bins of all features."""
    return max(64, min(_MOST_BLOCKS, _MOST_BLOCK_CELLS // bins))


def design_effects(
    blocks: NDArray[np.int64], counts: NDArray[np.int64], starts: NDArray[np.intp], *, window_rows: int
) -> Floats:
    """Return by how much the PSI of blocks of rows against the whole exceeds what independent rows would give.

    Per feature, the mean over blocks of m rows of their PSI, over `(b-1)(1/m - 1/M)`, where b is the number of bins
    that the reference has values in; at least 1. `blocks` has the shape `(blocks, bins)`, `counts` `(bins,)`.
    """
    rows = int(counts[: starts[1] if starts.size > 1 else None].sum())
    if len(blocks) < 2 or window_rows >= rows:
        return np.ones(starts.size)
    shares = drift.reference_shares(counts, starts)
    observed = drift.psi(drift.live_shares(blocks, shares, starts), shares, starts).mean(axis=0)
    occupied = drift.per_feature((counts > 0).astype(np.int64), starts)
    degrees = np.maximum(occupied - 1, 1)  # one occupied bin has nothing to vary: its PSI is 0
    return np.asarray(np.maximum(observed / (degrees * (1 / window_rows - 1 / rows)), 1.0), dtype=np.float64)


def stretch_effects(blocks: NDArray[np.int64], counts: NDArray[np.int64], starts: NDArray[np.intp]) -> Floats:
    """Return by how much the PSI of stretches of the clock against the whole exceeds what independent rows would give.

    Over blocks of m rows, `x = PSI / (1/m - 1/M)` is chi-square with b-1 degrees for independent rows. The effect is
    the larger of mean(x) over b-1, and of the quantile of x that about five blocks exceed (between 1 % and 10 % of
    them) over that of chi-square: days and nights are few ways to differ, whose tail is longer than their mean says.
    At least 1. `blocks` has the shape `(blocks, bins)`, `counts` `(bins,)`.
    """
    if len(blocks) < LEAST_BLOCKS:
        return np.ones(starts.size)
    shares = drift.reference_shares(counts, starts)
    psi = drift.psi(drift.live_shares(blocks, shares, starts), shares, starts)
    rows = drift.per_feature(blocks, starts)[:, :1]
    total = int(drift.per_feature(counts, starts)[0])
    scaled = psi / np.maximum(1 / rows - 1 / total, 1 / total)
    degrees = np.maximum(drift.per_feature((counts > 0).astype(np.int64), starts) - 1, 1)
    share = min(0.1, max(0.01, 5 / len(blocks)))
    tail = np.quantile(scaled, 1 - share, axis=0, method="higher")
    usual = np.array([drift.chi2_isf(share, int(d)) for d in degrees])
    effects = np.maximum(scaled.mean(axis=0) / degrees, tail / usual)
    return np.asarray(np.maximum(effects, 1.0), dtype=np.float64)
