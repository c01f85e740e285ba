"""The statistics of drift by their definitions, a bin at a time; nothing here comes from the code under test."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = Sequence[float] | NDArray[Any]


LEAST_SHARE = 0.0005
"""What a rarer bin counts as in PSI, KL and JS."""


def reference_shares(counts: Numbers) -> Floats:
    """Return `r_i = R_i / M`."""
    total = math.fsum(counts)
    return np.array([float(count) / total for count in counts])


def _floored(live: Numbers, reference: Numbers) -> list[tuple[float, float]]:
    return [(max(float(q), LEAST_SHARE), max(float(r), LEAST_SHARE)) for q, r in zip(live, reference, strict=True)]


def live_shares(counts: Numbers, reference: Numbers) -> Floats:
    """Return `q_i = (c_i + B/2 r_i) / (N + B/2)`: live counts taken towards the reference, as hours are to days."""
    total, half = math.fsum(counts), 0.5 * len(counts)
    return np.array([(float(c) + half * float(r)) / (total + half) for c, r in zip(counts, reference, strict=True)])


def contributions(live: Numbers, reference: Numbers) -> Floats:
    """Return what each bin adds to the PSI, `(q_i - r_i) ln(q_i / r_i)`."""
    return np.array([(q - r) * math.log(q / r) for q, r in _floored(live, reference)])


def psi(live: Numbers, reference: Numbers) -> float:
    """Return the population stability index."""
    return math.fsum(contributions(live, reference))


def kl(live: Numbers, reference: Numbers) -> float:
    """Return the Kullback-Leibler divergence, in nats."""
    return math.fsum(q * math.log(q / r) - q + r for q, r in _floored(live, reference))


def js(live: Numbers, reference: Numbers) -> float:
    """Return the Jensen-Shannon divergence, base 2."""
    pairs = [(q, r, (q + r) / 2) for q, r in _floored(live, reference)]
    return math.fsum(q * math.log2(q / m) / 2 + r * math.log2(r / m) / 2 for q, r, m in pairs)


def ks(live: Numbers, reference: Numbers) -> float:
    """Return the largest difference of the cumulative shares of counts, NaN where one side has none."""
    if not sum(live) or not sum(reference):
        return math.nan
    shares = [[sum(counts[: i + 1]) / sum(counts) for i in range(len(counts))] for counts in (live, reference)]
    return max((abs(a - b) for a, b in zip(*shares, strict=True)), default=math.nan)
