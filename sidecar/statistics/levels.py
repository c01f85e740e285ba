"""Levels: how far drift has gone, by the names that alerts use."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sidecar.config import Thresholds
from sidecar.statistics.bins import Floats

Level = Literal["unknown", "none", "moderate", "significant", "critical"]
LEVELS: tuple[Level, ...] = ("none", "moderate", "significant", "critical")
UNKNOWN: Level = "unknown"
"""The level where a window holds fewer than `min_samples`: neither drift nor none."""


def level_steps(thresholds: Sequence[Thresholds]) -> Floats:
    """Return the PSI from which each feature has each level above none, shape `(3, F)`."""
    return np.array([(t.moderate, t.significant, t.critical) for t in thresholds]).reshape(-1, 3).T


def level_indices(
    psi: Floats,
    threshold: Floats,
    samples: NDArray[np.int64],
    thresholds: Sequence[Thresholds] | Floats,
    *,
    min_samples: int,
) -> NDArray[np.int64]:
    """Return the index into LEVELS for each PSI, shape `(..., F)`, or -1 where there are too few samples.

    `none < moderate <= significant <= critical` by `thresholds`, one for each feature, or by their `level_steps`; a
    level above none needs `psi > threshold`, the smallest significant PSI.
    """
    steps = thresholds if isinstance(thresholds, np.ndarray) else level_steps(thresholds)
    reached = sum((psi >= step).astype(np.int64) for step in steps)
    significant = np.where(psi > threshold, reached, 0)
    return np.asarray(np.where(samples >= min_samples, significant, -1))


def level_name(index: int) -> Level:
    """Return the word for an index of `level_indices`."""
    return UNKNOWN if index < 0 else LEVELS[index]
