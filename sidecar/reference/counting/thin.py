"""Thin bins: by how much more the PSI of independent rows varies than chi-square says, where bins hold few of them.

The PSI of samples is about chi-square where every bin expects some ten rows. Where it expects fewer, single rows make
larger steps than that. How large is found by drawing references and windows of the same shares, from a fixed seed.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sidecar.statistics import drift
from sidecar.statistics.bins import Floats, Indices

ALPHA = 0.001
"""The share of windows beyond the threshold at which effects are measured, which is the usual alpha."""

_SAMPLES = (200, 700, 2500, 10_000, 100_000)
"""Rows of the windows that are drawn: from as few as are judged to as many as come in an hour of the busiest."""

_LEAST_DRAWS, _MOST_DRAWS, _CELLS = 4000, 20_000, 100_000
"""More draws where bins are few: they cost less, and their tail is longer."""

_TAIL = 0.8
"""Times ALPHA: the share of draws beyond the quantile, a little less because that is drawn too."""

_FULL = 15
"""Rows expected in every bin that has any, from which on chi-square holds; no drawing is needed."""

_LEAST = 1.1
"""Effects below it are the noise of drawing."""

_ONE = np.zeros(1, dtype=np.intp)


def thin_effects(counts: NDArray[np.int64], starts: Indices, *, rows: float | None = None) -> Floats:
    """Return for each feature the quantile of the PSI of independent rows over that of chi-square; at least 1.

    `rows` are those that windows are compared with, by default all of `counts`.
    """
    ends = [*starts[1:].tolist(), counts.size]
    return np.array(
        [thin_effect(counts[start:end].tolist(), rows) for start, end in zip(starts.tolist(), ends, strict=True)]
    )


def thin_effect(counts: Sequence[int], rows: float | None = None) -> float:
    """Return the effect of one feature, whatever the order of its bins."""
    return _effect(tuple(sorted(counts)), rows)


@lru_cache(maxsize=4096)
def _effect(counts: tuple[int, ...], rows: float | None) -> float:
    total, bins = sum(counts), len(counts)
    if total == 0 or bins < 2:
        return 1.0
    shares = (np.array(counts) + 0.5) / (total + 0.5 * bins)
    compared = max(1, round(total if rows is None else min(rows, total)))
    seen = shares[np.array(counts) > 0]
    if seen.min() * min(compared, _SAMPLES[0]) >= _FULL:
        return 1.0
    random, draws = np.random.default_rng(total), max(_LEAST_DRAWS, min(_MOST_DRAWS, _CELLS // bins))
    reference = random.multinomial(compared, shares, draws) / compared
    if rows is not None:  # by season, each hour is taken towards the whole
        reference = (reference * compared + 0.5 * bins * shares) / (compared + 0.5 * bins)
    usual = drift.chi2_isf(ALPHA, bins - 1)
    effect = 1.0
    for samples in _SAMPLES:
        live = drift.live_shares(random.multinomial(samples, shares, draws), reference, _ONE)
        scaled = drift.psi(live, reference, _ONE)[:, 0] / (1 / samples + 1 / compared)
        effect = max(effect, float(np.quantile(scaled, 1 - ALPHA * _TAIL)) / usual)
    return effect if effect >= _LEAST else 1.0
