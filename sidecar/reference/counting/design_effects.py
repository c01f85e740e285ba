"""Design effects: by how much blocks of rows differ from the reference beyond what independent rows would."""

import numpy as np
from numpy.typing import NDArray

from sidecar.statistics import drift
from sidecar.statistics.bins import Floats

LEAST_BLOCKS = 10
"""Stretches of the clock below which there is no telling how they differ."""


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
    effects = observed / (_degrees(counts, starts) * (1 / window_rows - 1 / rows))
    return np.asarray(np.maximum(effects, 1.0), dtype=np.float64)


def stretch_effects(scaled: Floats, counts: NDArray[np.int64], starts: NDArray[np.intp]) -> Floats:
    """Return by how much the PSI of stretches of the clock exceeds what independent rows would give.

    `scaled` are their PSI over `1/m + 1/M` or such, chi-square with b-1 degrees for independent rows: shape
    `(stretches, F)`. The effect is the larger of mean(x) over b-1, and of the quantile of x that about five stretches
    exceed (between 1 % and 10 % of them) over that of chi-square: days and nights are few ways to differ, whose tail is
    longer than their mean says. At least 1.
    """
    if len(scaled) < LEAST_BLOCKS:
        return np.ones(starts.size)
    degrees = _degrees(counts, starts)
    share = min(0.1, max(0.01, 5 / len(scaled)))
    tail = np.quantile(scaled, 1 - share, axis=0, method="higher")
    usual = np.array([drift.chi2_isf(share, int(d)) for d in degrees])
    effects = np.maximum(scaled.mean(axis=0) / degrees, tail / usual)
    return np.asarray(np.maximum(effects, 1.0), dtype=np.float64)


def _degrees(counts: NDArray[np.int64], starts: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return b-1 of each feature; 1 where one bin has all, which has nothing to vary: its PSI is 0."""
    occupied = drift.per_feature((counts > 0).astype(np.int64), starts)
    return np.asarray(np.maximum(occupied - 1, 1))
