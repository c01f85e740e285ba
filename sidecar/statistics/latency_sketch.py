"""A mergeable sketch of latency: log-spaced buckets, so that quantiles have a bounded relative error.

Buckets follow Masson, Rim and Lee, "DDSketch" (VLDB 2019): bucket `i` holds `(FLOOR * GAMMA**(i-1), FLOOR * GAMMA**i]`,
and answers with the value whose relative distance to both ends is the same. Two sketches merge by adding their counts.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sidecar.statistics.bins import Floats, Indices

RELATIVE_ERROR = 0.011
"""Bound on the relative error of a quantile between FLOOR and CEILING."""

FLOOR = 1e-6
"""Seconds; smaller values are counted as this one."""

CEILING = 1e4
"""Seconds; larger values are counted as this one."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(_GAMMA)
SIZE = math.ceil(math.log(CEILING / FLOOR) / _LOG_GAMMA) + 1
"""Number of buckets."""

_VALUES: Floats = np.minimum(FLOOR * 2 * _GAMMA ** np.arange(SIZE) / (_GAMMA + 1), CEILING)


def index(seconds: Floats) -> Indices:
    """Return the bucket of each latency, in seconds; none may be NaN."""
    clipped = np.minimum(np.maximum(seconds, FLOOR), CEILING)
    return np.ceil(np.log(clipped / FLOOR) / _LOG_GAMMA - 1e-9).astype(np.intp)


def quantile(counts: NDArray[np.int64], q: ArrayLike) -> Floats:
    """Estimate quantiles, in seconds, from counts of shape `(..., SIZE)`; NaN where there are none.

    The answer is within RELATIVE_ERROR of the smallest value whose rank is at least `q * n`. Shape `(..., len(q))`.
    """
    wanted = np.atleast_1d(np.asarray(q, dtype=np.float64))
    cumulative = np.cumsum(counts, axis=-1)
    total = cumulative[..., -1:]
    rank = np.maximum(np.ceil(wanted * total - 1e-9), 1)
    bucket = (cumulative[..., None, :] < rank[..., :, None]).sum(axis=-1)
    return np.where(total > 0, _VALUES[np.minimum(bucket, SIZE - 1)], np.nan)


def mean(counts: NDArray[np.int64]) -> Floats:
    """Estimate the mean, in seconds, from counts of shape `(..., SIZE)`, within RELATIVE_ERROR; NaN for none."""
    total = counts.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(counts @ _VALUES / np.where(total > 0, total, np.nan))
