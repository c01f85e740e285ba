"""What a reference by season expects of events, given the slots in which they came."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidecar.base.cooperative import Steps, at_once
from sidecar.reference.profile import FeatureProfile, Profile, season_counts
from sidecar.statistics import drift
from sidecar.statistics.bins import Floats, Indices
from sidecar.statistics.season import Season

_BINS_AT_ONCE = 2000
_SLOTS_AT_ONCE = 8


class Seasonal:
    """The shares of the reference in each slot of its season: `shares` of shape `(slots, bins)`, `rows` of `(slots,)`.

    The counts R_s of a slot are smoothed towards the reference as a whole, r, as live counts are:
    `r_s = (R_s + 0.5 B r) / (M_s + 0.5 B)`. So a slot without rows is taken to be as the whole.
    """

    def __init__(
        self, season: Season, rows: NDArray[Any], counts: NDArray[Any], whole: Floats, starts: Indices
    ) -> None:
        """Take counts of shape `(slots, bins)`; `whole` are the shares of the reference without season."""
        self.season = season
        self.rows = np.maximum(rows, 1).astype(np.float64)
        self.shares = drift.live_shares(counts, whole, starts)
        self._whole = whole
        self._whole_rows = float(self.rows.sum())

    @classmethod
    def of(
        cls, profile: Profile, features: Sequence[FeatureProfile], whole: Floats, starts: Indices
    ) -> "Seasonal | None":
        """Return that of a profile, with the bins of its features in this order; None where it has no season."""
        if profile.season is None:
            return None
        counts = np.concatenate([season_counts(feature, profile.season) for feature in features], axis=1)
        return cls(profile.season, np.array(profile.season_rows), counts, whole, starts)

    def expected(self, events: NDArray[Any]) -> Floats:
        """Return what `expecting` does, at once."""
        return at_once(self.expecting(events))

    def expecting(self, events: NDArray[Any]) -> Steps[Floats]:
        """Return the shares expected of n_s events in each slot, `sum n_s r_s / N`; the whole's where there are none.

        `events` has the shape `(..., slots)`, the result `(..., bins)`. In steps, and not by matrix multiplication:
        that waits for other threads, for milliseconds where the processors are busy.
        """
        bins = self._whole.size
        found = np.tile(self._whole, (*events.shape[:-1], 1))
        for mixture, of_slots in zip(found.reshape(-1, bins), events.reshape(-1, events.shape[-1]), strict=True):
            used = np.flatnonzero(of_slots)
            weights = of_slots[used] / of_slots.sum()
            for first in range(0, bins if used.size else 0, _BINS_AT_ONCE):
                some = slice(first, first + _BINS_AT_ONCE)
                mixture[some] = np.einsum("s,sb->b", weights, self.shares[used, some])
                yield
        return found

    def expecting_events(self, events: NDArray[np.int64]) -> Steps[Floats]:
        """Return how many of n_s events in each slot are expected in each bin, `sum n_s r_s`, in steps.

        As events come this never goes down, even by a last digit, which Prometheus would take for a restart of the
        counter: slots are added one after the other, which no version of NumPy does in another order.
        """
        found = np.zeros_like(self._whole)
        for slot in np.flatnonzero(events).tolist():
            found += events[slot] * self.shares[slot]
            if not slot % _SLOTS_AT_ONCE:
                yield
        return found

    def effective_rows(self, events: NDArray[Any]) -> Floats:
        """Return as how many independent rows those expected shares vary, `1 / sum (n_s / N)^2 / M_s`.

        `events` has the shape `(..., slots)`, the result `(...)`; the rows of all slots where there are no events.
        """
        total = events.sum(axis=-1)
        weights = events / np.maximum(total, 1)[..., None]
        variance = (weights**2 / self.rows).sum(axis=-1)
        return np.where(total > 0, 1 / np.where(total > 0, variance, 1), self._whole_rows)
