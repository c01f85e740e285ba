"""Sliding windows over counts: rings of panes with a running total.

Reading a window costs the same however long it is. Time is an argument, in seconds of any clock that never goes back.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.statistics.bins import Floats, Indices
from sidecar.statistics.buffers import StateError, buffer, from_buffer

PANES = 60
"""Panes a window. The newest is being filled, so a window covers between 59/60 and all of its length."""


_LONGEST_UINT32_PANE_SECONDS = 3600.0
"""Counts of panes up to this long are uint32, which holds a million events a second; those of longer ones are int64."""


class WindowsState(msgspec.Struct, frozen=True):
    """What Windows hold: the newest pane of each window, the rings, and the counts since the start (int64).

    Rings are uint32, or int64 where panes are longer than an hour.
    """

    panes: list[int]
    rings: list[memoryview]
    ever: memoryview


class Windows:
    """Count indices in `[0, size)` over windows of `lengths` seconds, and since the start.

    New counts are kept in one array and are added to the rings when a pane ends or a window is read, so that adding
    costs the same for one window as for ten.
    """

    def __init__(self, size: int, lengths: Sequence[float], *, now: float) -> None:
        self.size = size
        self._pane_seconds = [length / PANES for length in lengths]
        self._pane = [int(now // seconds) for seconds in self._pane_seconds]
        self._kinds = ["<i8" if s > _LONGEST_UINT32_PANE_SECONDS else "<u4" for s in self._pane_seconds]
        self._rings: list[NDArray[Any]] = [np.zeros((PANES, size), dtype=kind) for kind in self._kinds]
        self._in_window = np.zeros((len(lengths), size), dtype=np.int64)
        self._ever = np.zeros(size, dtype=np.int64)
        self._unfolded = np.zeros(size, dtype=np.int64)
        self._pane_ends = self._next_end()

    def add(self, indices: Indices, *, now: float) -> None:
        """Count each of `indices` once."""
        if now >= self._pane_ends:
            self._advance(now)
        if indices.size * 8 < self.size:
            np.add.at(self._unfolded, indices, 1)
        else:
            self._unfolded += np.bincount(indices, minlength=self.size)

    def add_counts(self, start: int, counts: NDArray[np.int64], *, now: float) -> None:
        """Add `counts` to the places from `start` on."""
        if now >= self._pane_ends:
            self._advance(now)
        self._unfolded[start : start + counts.size] += counts

    def counts(self, *, now: float) -> NDArray[np.int64]:
        """Return the counts in each window, shape `(windows, size)`. A view: valid until the next call."""
        self._advance(now)
        return self._in_window

    def ever(self) -> NDArray[np.int64]:
        """Return the counts since the start, shape `(size,)`. A view: valid until the next call."""
        self._fold()
        return self._ever

    def state(self) -> WindowsState:
        """Return a copy of the state, for `restore`."""
        self._fold()
        rings = [buffer(ring.copy(), kind) for ring, kind in zip(self._rings, self._kinds, strict=True)]
        return WindowsState(list(self._pane), rings, buffer(self._ever.copy(), "<i8"))

    def restore(self, state: WindowsState) -> None:
        """Replace all counts by those of a state of the same size and lengths; raises StateError if it does not fit."""
        if not len(state.panes) == len(state.rings) == len(self._rings):
            raise StateError(f"{len(state.rings)} windows where there are {len(self._rings)}")
        kinds = zip(state.rings, self._kinds, strict=True)
        self._rings = [from_buffer(ring, kind, PANES, self.size) for ring, kind in kinds]
        self._ever = from_buffer(state.ever, "<i8", self.size)
        self._in_window = np.array([ring.sum(axis=0, dtype=np.int64) for ring in self._rings])
        self._in_window.shape = (len(self._rings), self.size)
        self._unfolded[:] = 0
        self._pane = list(state.panes)
        self._pane_ends = self._next_end()

    def _fold(self) -> None:
        unfolded = self._unfolded
        if not unfolded.any():
            return
        for ring, pane in zip(self._rings, self._pane, strict=True):
            ring[pane % PANES] += unfolded.astype(ring.dtype)
        self._in_window += unfolded
        self._ever += unfolded
        unfolded[:] = 0

    def _advance(self, now: float) -> None:
        self._fold()
        for i, (ring, seconds) in enumerate(zip(self._rings, self._pane_seconds, strict=True)):
            newest = max(int(now // seconds), self._pane[i])
            first = max(self._pane[i] + 1, newest - PANES + 1)
            for pane in range(first, newest + 1):
                expired = ring[pane % PANES]
                self._in_window[i] -= expired
                expired[:] = 0
            self._pane[i] = newest
        self._pane_ends = self._next_end()

    def _next_end(self) -> float:
        ends = ((pane + 1) * seconds for pane, seconds in zip(self._pane, self._pane_seconds, strict=True))
        return min(ends, default=float("inf"))


class SumsState(msgspec.Struct, frozen=True):
    """What Sums hold: the newest pane of each window, the rings, and the sums since the start (all float64)."""

    panes: list[int]
    rings: list[memoryview]
    ever: memoryview


class Sums:
    """Add numbers up in `size` places over windows of `lengths` seconds, and since the start.

    Reading a window sums its panes again, so that a rounding error does not outlive its pane.
    """

    def __init__(self, size: int, lengths: Sequence[float], *, now: float) -> None:
        self.size = size
        self._pane_seconds = [length / PANES for length in lengths]
        self._pane = [int(now // seconds) for seconds in self._pane_seconds]
        self._rings = [np.zeros((PANES, size)) for _ in lengths]
        self._ever = np.zeros(size)

    def add(self, values: Floats, *, now: float) -> None:
        """Add a value to each place."""
        self._advance(now)
        for ring, pane in zip(self._rings, self._pane, strict=True):
            ring[pane % PANES] += values
        self._ever += values

    def sums(self, *, now: float) -> Floats:
        """Return the sums in each window, shape `(windows, size)`."""
        self._advance(now)
        return np.array([ring.sum(axis=0) for ring in self._rings])

    def ever(self) -> Floats:
        """Return the sums since the start, shape `(size,)`. A view: valid until the next call."""
        return self._ever

    def state(self) -> SumsState:
        """Return a copy of the state, for `restore`."""
        rings = [buffer(ring.copy(), "<f8") for ring in self._rings]
        return SumsState(list(self._pane), rings, buffer(self._ever.copy(), "<f8"))

    def restore(self, state: SumsState) -> None:
        """Replace all sums by those of a state of the same size and lengths; raises StateError if it does not fit."""
        if not len(state.panes) == len(state.rings) == len(self._rings):
            raise StateError(f"{len(state.rings)} windows of sums where there are {len(self._rings)}")
        self._rings = [from_buffer(ring, "<f8", PANES, self.size) for ring in state.rings]
        self._ever = from_buffer(state.ever, "<f8", self.size)
        self._pane = list(state.panes)

    def _advance(self, now: float) -> None:
        for i, (ring, seconds) in enumerate(zip(self._rings, self._pane_seconds, strict=True)):
            newest = max(int(now // seconds), self._pane[i])
            for pane in range(max(self._pane[i] + 1, newest - PANES + 1), newest + 1):
                ring[pane % PANES] = 0
            self._pane[i] = newest
