"""Quality: how right predictions were, from counts. Pure functions over arrays whose leading axes may be anything.

An undefined value is NaN, such as the precision of a class that was never predicted.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidecar.statistics.bins import Floats

CALIBRATION_BINS = 10
"""Bins of a probability for the calibration error, all of one width."""

Counts = NDArray[np.integer[Any]]


def ratio(part: Counts | Floats, whole: Counts | Floats) -> Floats:
    """Return `part / whole`, NaN where there is nothing to divide by.

    >>> ratio(np.array([3, 0]), np.array([4, 0]))
    array([0.75,  nan])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(whole) == 0, np.nan, np.divide(part, whole))


def precision(outcomes: Counts) -> Floats:
    """Return for each class the share of predictions of it that were right.

    `outcomes` has the shape `(..., classes, classes)`, predicted by actual.

    >>> precision(np.array([[8, 2], [1, 9]]))
    array([0.8, 0.9])
    """
    return ratio(np.diagonal(outcomes, axis1=-2, axis2=-1), outcomes.sum(axis=-1))


def recall(outcomes: Counts) -> Floats:
    """Return for each class the share of its labels that were predicted as it, from the counts that `precision` takes.

    >>> recall(np.array([[8, 2], [2, 8]]))
    array([0.8, 0.8])
    """
    return ratio(np.diagonal(outcomes, axis1=-2, axis2=-1), outcomes.sum(axis=-2))


def calibration_bin(probability: float) -> int:
    """Return the bin of a probability in [0, 1]: `i` where `i / 10 <= p < (i + 1) / 10`, and 1 is in the last.

    >>> [calibration_bin(p) for p in (0.0, 0.1, 0.95, 1.0)]
    [0, 1, 9, 9]
    """
    return min(int(probability * CALIBRATION_BINS), CALIBRATION_BINS - 1)


def calibration_error(counts: Counts, came_true: Counts, probability_sums: Floats) -> Floats:
    """Return the expected calibration error: `sum over bins of n_b / n * |mean probability - share that came true|`.

    All arrays have the shape `(..., bins)`. Naeini, Cooper and Hauskrecht, *Obtaining Well Calibrated Probabilities
    Using Bayesian Binning* (2015); Guo et al., *On Calibration of Modern Neural Networks* (2017).

    >>> calibration_error(np.array([10, 10]), np.array([2, 9]), np.array([2.0, 7.0]))
    array(0.1)
    """
    return ratio(np.abs(probability_sums - came_true).sum(axis=-1), counts.sum(axis=-1))
