"""Stretches of the clock: rows counted by the window that they are in, to see how windows differ."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sidecar.reference.seasonal import Seasonal
from sidecar.statistics import drift
from sidecar.statistics.bins import Floats, Indices
from sidecar.statistics.season import Season

LEAST_BLOCK_ROWS = 200
"""Rows below which a stretch of the clock says nothing: no window with fewer is judged."""

_MOST_BLOCKS = 4096
_MOST_BLOCK_CELLS = 8_000_000

_GOLDEN = (5**0.5 - 1) / 2

Counts = NDArray[np.int64]


def most_blocks(bins: int) -> int:
    """Return the largest number of blocks kept, for a total number of bins."""
    return max(64, min(_MOST_BLOCKS, _MOST_BLOCK_CELLS // bins))


class Stretches:
    """Counts of every stretch of the clock and, within it, of every slot of a season.

    Rows come in any order. Memory is bounded: past `most_blocks` counts about every second stretch is forgotten.
    """

    def __init__(self, starts: Indices, bins: int, *, slots: int = 1) -> None:
        """Take `starts`, where the bins of each feature begin, and how many bins there are of all together."""
        self._starts, self._bins, self._slots = starts, bins, slots
        self._first_feature = slice(0, int(starts[1]) if starts.size > 1 else bins)
        self._counts: dict[int, Counts] = {}
        self._kept_share = 1.0

    def add(self, indices: Indices, windows: Floats, slots: Indices) -> None:
        """Count rows: `indices` are bins of shape `(F, rows)`; a window of NaN or a slot of -1 is left out."""
        there = np.isfinite(windows) & (slots >= 0)
        numbers = np.floor(windows[there]).astype(np.int64)
        kept = self._keeps(numbers)
        pieces, indices = numbers[kept] * self._slots + slots[there][kept], indices[:, there][:, kept]
        order = np.argsort(pieces, kind="stable")
        pieces, indices = pieces[order], indices[:, order]
        firsts = np.flatnonzero(np.diff(pieces, prepend=pieces[:1] - 1))
        for first, after in pairwise([*firsts.tolist(), pieces.size]):
            counts = np.bincount(indices[:, first:after].ravel(), minlength=self._bins)
            piece = int(pieces[first])
            self._counts[piece] = self._counts.get(piece, 0) + counts
        if self.thin(np.array(list(self._counts), dtype=np.int64) // self._slots):
            held = np.array(list(self._counts))
            self._counts = {piece: self._counts[piece] for piece in held[self._keeps(held // self._slots)].tolist()}

    def put(self, number: int, slot: int, counts: Counts) -> None:
        """Take the counts of a slot within a stretch, all of them; of stretches that `thin` left."""
        self._counts[number * self._slots + slot] = counts

    def thin(self, numbers: NDArray[np.int64]) -> bool:
        """Forget so many stretches that there are not too many of these, one for each of its slots; tell if any."""
        before = self._kept_share
        while self._keeps(numbers).sum() > most_blocks(self._bins):
            self._kept_share /= 2
        return self._kept_share < before

    def kept(self, numbers: NDArray[np.int64]) -> list[int]:
        """Return those of the stretches that are not forgotten."""
        return list(dict.fromkeys(numbers[self._keeps(numbers)].tolist()))

    def _keeps(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which stretches are kept, by multiples of the golden ratio: they are in step with no day or week."""
        return np.asarray(numbers * _GOLDEN % 1 < self._kept_share)

    def _inner(self) -> list[tuple[Indices, Counts]]:
        """Return slots and their counts (shape `(slots, bins)`) of each stretch that holds LEAST_BLOCK_ROWS.

        The first and the last are left out: the data may begin and end within them.
        """
        pieces = np.array(sorted(self._counts), dtype=np.int64)
        numbers, slots = np.divmod(pieces, self._slots)
        firsts = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
        found = []
        for first, after in list(pairwise([*firsts.tolist(), pieces.size]))[1:-1]:
            counts = np.array([self._counts[piece] for piece in pieces[first:after].tolist()])
            if counts[:, self._first_feature].sum() >= LEAST_BLOCK_ROWS:
                found.append((slots[first:after].astype(np.intp), counts))
        return found

    def against_whole(self, counts: Counts) -> tuple[NDArray[np.int64], Floats]:
        """Return the rows m of each stretch, and its PSI against all of the M rows, over `1/m - 1/M`.

        Shapes `(stretches,)` and `(stretches, F)`. For independent rows that is chi-square with b-1 degrees.
        """
        blocks = np.array([part.sum(axis=0) for _, part in self._inner()]).reshape(-1, self._bins)
        rows = blocks[:, self._first_feature].sum(axis=1)
        total = int(counts[self._first_feature].sum())
        shares = drift.reference_shares(counts, self._starts)
        psi = drift.psi(drift.live_shares(blocks, shares, self._starts), shares, self._starts)
        return rows, np.asarray(psi / np.maximum(1 / rows - 1 / total, 1 / total)[:, None])

    def against_season(self, season: Season, by_slot: Counts, counts: Counts) -> tuple[NDArray[np.int64], Floats]:
        """Return the rows m of each stretch, and its PSI against what the season expects of it, over `1/m + 1/M`.

        The season is that of all other stretches, of which M rows count, so that a stretch is compared as live traffic
        will be. For independent rows that is chi-square with b-1 degrees. Stretches with M below m/2 are left out:
        their hours were not seen otherwise. `by_slot` has the shape `(slots, bins)`; `counts` are of all rows.
        """
        whole = drift.reference_shares(counts, self._starts)
        found_rows, found = [], []
        for slots, own in self._inner():
            events, others = own[:, self._first_feature].sum(axis=1), by_slot[slots] - own
            rest = Seasonal(season, others[:, self._first_feature].sum(axis=1), others, whole, self._starts)
            rows, reference_rows = int(events.sum()), float(rest.effective_rows(events))
            if reference_rows < rows / 2:
                continue
            expected = rest.expected(events)
            live = drift.live_shares(own.sum(axis=0), expected, self._starts)
            found_rows.append(rows)
            found.append(drift.psi(live, expected, self._starts) / (1 / rows + 1 / reference_rows))
        return np.array(found_rows, dtype=np.int64), np.array(found).reshape(-1, self._starts.size)
