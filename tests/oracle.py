"""The statistics of drift by their definitions, a bin at a time; nothing here comes from the code under test."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = Sequence[float] | NDArray[Any]


def reference_shares(counts: Numbers) -> Floats:
    """Return `r_i = (R_i + 1/2) / (M + B/2)`."""
    total, bins = math.fsum(counts), len(counts)
    return np.array([(float(count) + 0.5) / (total + 0.5 * bins) for count in counts])


def live_shares(counts: Numbers, reference: Numbers) -> Floats:
    """Return `q_i = (c_i + B/2 r_i) / (N + B/2)`: live counts smoothed towards the reference, as hours are to days."""
    total, half = math.fsum(counts), 0.5 * len(counts)
    return np.array([(float(c) + half * float(r)) / (total + half) for c, r in zip(counts, reference, strict=True)])


def contributions(live: Numbers, reference: Numbers) -> Floats:
    """Return what each bin adds to the PSI, `(q_i - r_i) ln(q_i / r_i)`."""
    return np.array([(q - r) * math.log(q / r) for q, r in zip(live, reference, strict=True)])


def psi(live: Numbers, reference: Numbers) -> float:
    """Return the population stability index."""
    return math.fsum(contributions(live, reference))


def kl(live: Numbers, reference: Numbers) -> float:
    """Return the Kullback-Leibler divergence, in nats."""
    return math.fsum(q * math.log(q / r) for q, r in zip(live, reference, strict=True))


def js(live: Numbers, reference: Numbers) -> float:
    """Return the Jensen-Shannon divergence, base 2."""
    pairs = [(q, r, (q + r) / 2) for q, r in zip(live, reference, strict=True)]
    return math.fsum(q * math.log2(q / m) / 2 + r * math.log2(r / m) / 2 for q, r, m in pairs)


def ks(live: Numbers, reference: Numbers) -> float:
    """Return the largest difference of the cumulative shares of counts, NaN where one side has none."""
    if not sum(live) or not sum(reference):
        return math.nan
    shares = [[sum(counts[: i + 1]) / sum(counts) for i in range(len(counts))] for counts in (live, reference)]
    return max((abs(a - b) for a, b in zip(*shares, strict=True)), default=math.nan)
