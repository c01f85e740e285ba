"""Blocks: rows counted in blocks of equal size, in their order, to see how blocks differ."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sidecar.reference.counting.counts import Counted, Moments
from sidecar.reference.counting.design_effects import design_effects
from sidecar.reference.counting.stretches import most_blocks
from sidecar.statistics.bins import Indices


class Blocks:
    """Counts of all rows, and of every whole block of them.

    Memory is bounded: past `most_blocks` every second block is forgotten.
    """

    def __init__(self, starts: Indices, bins: int, *, block_rows: int) -> None:
        """Take `starts`, where the bins of each feature begin, and how many bins there are of all together."""
        self._starts, self._block_rows = starts, block_rows
        self._rows = 0
        self._counts = np.zeros(bins, dtype=np.int64)
        self._open = np.zeros(bins, dtype=np.int64)
        self._blocks: list[NDArray[np.int64]] = []
        self._keep_every = 1

    def __len__(self) -> int:
        return len(self._blocks)

    def add(self, indices: Indices) -> None:
        """Count the rows that come next: `indices` are bins of shape `(F, rows)`."""
        rows, first = indices.shape[1], 0
        while first < rows:
            room = self._block_rows - self._rows % self._block_rows
            last = min(rows, first + room)
            counts = np.bincount(indices[:, first:last].ravel(), minlength=self._counts.size)
            self._counts += counts
            self._open += counts
            self._rows += last - first
            if self._rows % self._block_rows == 0:
                self._close()
            first = last

    def _close(self) -> None:
        if (self._rows // self._block_rows) % self._keep_every == 0:
            self._blocks.append(self._open.copy())
        self._open[:] = 0
        if len(self._blocks) > most_blocks(self._open.size):
            self._blocks = self._blocks[1::2]
            self._keep_every *= 2

    def counted(self, moments: Sequence[Moments]) -> Counted:
        """Return everything counted, with the design effects of blocks."""
        effects = design_effects(np.array(self._blocks), self._counts, self._starts, window_rows=self._block_rows)
        return Counted(self._rows, self._counts.copy(), effects, moments, window_rows=self._block_rows)
