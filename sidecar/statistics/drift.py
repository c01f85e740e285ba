"""Statistics of drift: one function each, over the bins of many features at once.

Bins of all features lie end to end on the last axis; `starts` (shape `(F,)`) says where each feature begins.
`live` and `reference` are shares that sum to 1 over each feature, made from counts by `live_shares` and
`reference_shares`. PSI and the divergences count a share below `FLOOR` as that, by `floored`, so that what a bin
without rows adds depends on the shares alone, not on how many rows were looked at. Results have shape `(..., F)`.
Logarithms are natural unless said.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidecar.statistics.bins import Floats, Indices

Counts = NDArray[np.int64]

FLOOR = 0.0005
"""The least share that counts: rarer bins are taken to be as rare as this."""


def per_feature(values: NDArray[Any], starts: Indices) -> NDArray[Any]:
    """Sum the bins of each feature: shape `(..., bins)` to `(..., F)`."""
    return np.asarray(np.add.reduceat(values, starts, axis=-1))


def _per_bin(values: NDArray[Any], starts: Indices, bins: int) -> NDArray[Any]:
    feature = np.repeat(np.arange(len(starts)), np.diff(starts, append=bins))
    return np.take(values, feature, axis=-1)  # much faster than repeating rows of several windows


def shares(values: NDArray[Any], starts: Indices) -> Floats:
    """Divide what is in each bin by what is in all of its feature, which is not 0, without smoothing."""
    return np.asarray(values / _per_bin(per_feature(values, starts), starts, values.shape[-1]), dtype=np.float64)


SMOOTHING = "floor-0.0005"
"""How the shares of a PSI are smoothed: `reference_shares` and `live_shares`. Another way gets another name, as design
effects in saved profiles are of the PSI that they were built with."""


def reference_shares(counts: Counts, starts: Indices) -> Floats:
    """Return the shares of reference counts R, which sum to M, not 0: `r_i = R_i / M`."""
    return shares(counts, starts)


def live_shares(counts: NDArray[Any], reference: Floats, starts: Indices) -> Floats:
    """Smooth live counts c: `q_i = (c_i + 0.5 B r_i) / (N + 0.5 B)`.

    Half an event a bin, spread as the reference: no traffic reads as no drift, and little traffic as little.
    """
    bins = counts.shape[-1]
    prior = 0.5 * np.diff(starts, append=bins)
    total = per_feature(counts, starts) + prior
    kept = _per_bin(prior / total, starts, bins) * reference  # exactly the reference where N is 0
    return np.asarray(kept + counts / _per_bin(total, starts, bins), dtype=np.float64)


def floored(values: Floats) -> Floats:
    """Return shares of at least FLOOR: `max(x_i, 0.0005)`."""
    return np.asarray(np.maximum(values, FLOOR))


def psi_terms(live: Floats, reference: Floats) -> Floats:
    """Return what each bin adds to the PSI, of floored shares: `(q_i - r_i) ln(q_i / r_i)`, never negative."""
    q, r = floored(live), floored(reference)
    return np.asarray((q - r) * np.log(q / r))


def psi(live: Floats, reference: Floats, starts: Indices) -> Floats:
    """Return the population stability index, `sum (q_i - r_i) ln(q_i / r_i)`: >= 0, zero on itself, symmetric.

    Of floored shares. Siddiqi, *Credit Risk Scorecards* (2006); it is Jeffreys' divergence.

    >>> r = np.array([0.5, 0.5]); q = np.array([0.9, 0.1])
    >>> psi(q, r, np.array([0])).round(6)
    array([0.87889])
    """
    return np.asarray(np.add.reduceat(psi_terms(live, reference), starts, axis=-1))


def kl_divergence(live: Floats, reference: Floats, starts: Indices) -> Floats:
    """Return the Kullback-Leibler divergence of live from reference, `sum (q_i ln(q_i / r_i) - q_i + r_i)`, in nats.

    Of floored shares, whose sums may differ: `r_i - q_i` makes up for that, and comes to nothing where none is floored.
    >= 0, zero on itself. Kullback and Leibler (1951).

    >>> r = np.array([0.5, 0.5]); q = np.array([0.9, 0.1])
    >>> kl_divergence(q, r, np.array([0])).round(6)
    array([0.368064])
    """
    q, r = floored(live), floored(reference)
    terms = np.add.reduceat(q * np.log(q / r) - q + r, starts, axis=-1)
    return np.asarray(np.maximum(terms, 0.0))  # rounding may leave -1e-17


def js_divergence(live: Floats, reference: Floats, starts: Indices) -> Floats:
    """Return the Jensen-Shannon divergence, base 2.

    `1/2 sum q_i log2(q_i/m_i) + 1/2 sum r_i log2(r_i/m_i)`, `m = (q + r)/2`, of floored shares. In [0, 1]; the
    divergence, not its square root. Lin, *Divergence Measures Based on the Shannon Entropy* (1991).

    >>> r = np.array([0.5, 0.5]); q = np.array([0.9, 0.1])
    >>> js_divergence(q, r, np.array([0])).round(6)
    array([0.146793])
    """
    q, r = floored(live), floored(reference)
    middle = (q + r) / 2
    terms = q * np.log2(q / middle) + r * np.log2(r / middle)
    return np.asarray(np.clip(np.add.reduceat(terms, starts, axis=-1) / 2, 0.0, 1.0))


def ks_statistic(live: NDArray[Any], reference: NDArray[Any], starts: Indices, present: NDArray[np.bool_]) -> Floats:
    """Return the largest difference of the two cumulative shares at the bin edges, from counts, without smoothing.

    Of a reference of which only shares are known, these may stand for its counts. `present` (shape `(bins,)`) is False
    for bins to leave out, such as `missing`. A lower bound of the Kolmogorov-Smirnov statistic of the values
    themselves; NaN where live or reference has no present value.

    >>> ks_statistic(np.array([0, 4, 9]), np.array([2, 2, 1]), np.array([0]), np.array([True, True, False]))
    array([0.5])
    """
    gap = np.abs(_cumulative_shares(live, starts, present) - _cumulative_shares(reference, starts, present))
    return np.asarray(np.maximum.reduceat(gap, starts, axis=-1))


def _cumulative_shares(counts: NDArray[Any], starts: Indices, present: NDArray[np.bool_]) -> Floats:
    bins = counts.shape[-1]
    kept = np.where(present, counts, 0)
    running = np.cumsum(kept, axis=-1)
    before = running[..., starts] - kept[..., starts]
    total = per_feature(kept, starts).astype(np.float64)
    total[total == 0] = np.nan
    return np.asarray((running - _per_bin(before, starts, bins)) / _per_bin(total, starts, bins))


def significance_factor(bins: int, *, alpha: float, design_effect: float = 1.0, thin_effect: float = 1.0) -> float:
    """Return `chi2.isf(alpha, B - 1) * max(design_effect, thin_effect)`.

    By it `1/N + 1/M` gives the smallest PSI that means anything. Without drift `PSI ~ (1/N + 1/M) chi2(B - 1)`:
    Yurdakul, *Statistical Properties of the Population Stability Index* (2018). `design_effect` corrects for rows that
    are not independent, `thin_effect` for bins of few rows; windows in which rows depend on each other have both, so
    that the larger one is enough.

    >>> round(significance_factor(10, alpha=0.001) * (1 / 500 + 1 / 10_000), 9)
    0.058542046
    """
    return chi2_isf(alpha, bins - 1) * max(design_effect, thin_effect)


def psi_threshold(factor: Floats, samples: NDArray[Any], reference_samples: NDArray[Any]) -> Floats:
    """Return the smallest significant PSI, `factor * (1/N + 1/M)`; infinite where there are no samples."""
    with np.errstate(divide="ignore"):
        return np.asarray(factor * (1 / samples + 1 / reference_samples), dtype=np.float64)


@lru_cache(maxsize=1024)
def chi2_isf(probability: float, degrees: int) -> float:
    """Return the `x` that a chi-square variable with `degrees` (>= 1) exceeds with the given probability, in (0, 1).

    Bisection on the finite sums for whole degrees of freedom (Abramowitz and Stegun 26.4.4 and 26.4.5).

    >>> round(chi2_isf(0.05, 3), 6)
    7.814728
    """
    low, high = 0.0, float(degrees)
    while _chi2_sf(high, degrees) > probability:
        low, high = high, high * 2
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if _chi2_sf(middle, degrees) > probability:
            low = middle
        else:
            high = middle


def _chi2_sf(x: float, degrees: int) -> float:
    half = x / 2
    if half == 0:
        return 1.0
    shift = (degrees % 2) / 2
    exponents = (i + shift for i in range((degrees - degrees % 2) // 2))
    tail = math.fsum(math.exp(e * math.log(half) - half - math.lgamma(e + 1)) for e in exponents)
    return tail + (math.erfc(math.sqrt(half)) if shift else 0.0)
