"""Conditions: where drift exceeds the lowest level and chance, and when each drift alert fires by that.

Only the evaluations that exceed are kept, so that trying out other levels and durations costs little.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sidecar.alerting.backtest.drifts import DriftSeries
from sidecar.alerting.backtest.recorded import Evaluations
from sidecar.alerting.backtest.states import Firing, Runs, firing
from sidecar.alerting.rules.settings import Thresholds
from sidecar.events.batch import Key
from sidecar.statistics.bins import Floats

LEVELS = ("Moderate", "Significant", "Critical", "Rollback")
KINDS = {"DataDrift": "input", "PredictionDrift": "output"}
DRIFT_ALERTS = tuple(f"{level}{kind}" for kind in KINDS for level in LEVELS)


@dataclass(frozen=True, slots=True)
class Exceeding:
    """The evaluations at which one feature is at the lowest level or above, and above what chance explains.

    `at` are their numbers, rising; `psi` the values; `ratio` those over the smallest PSI that means anything.
    """

    feature: Key
    evaluated: Evaluations
    at: NDArray[np.int64]
    psi: Floats
    ratio: Floats


@dataclass(frozen=True, slots=True)
class Band:
    """PSI from `low` on up to `high`, as the expressions of the alerts have it."""

    low: float
    high: float = np.inf
    above_low: bool = False
    to_high: bool = False

    def holds(self, psi: Floats) -> NDArray[np.bool_]:
        """Tell which values are in the band."""
        low = psi > self.low if self.above_low else psi >= self.low
        return np.asarray(low & (psi <= self.high if self.to_high else psi < self.high))


def bands(thresholds: Thresholds) -> dict[str, Band]:
    """Return the band of each level; limits are rounded as the rules write them."""
    moderate, significant, critical, rollback = (
        float(f"{limit:g}")
        for limit in (thresholds.moderate, thresholds.significant, thresholds.critical, thresholds.rollback)
    )
    return {
        "Moderate": Band(moderate, significant),
        "Significant": Band(significant, critical, to_high=True),
        "Critical": Band(critical, above_low=True),
        "Rollback": Band(rollback, above_low=True),
    }


def exceeding(series: DriftSeries, features: Sequence[Key], factors: Floats, *, lowest: float) -> list[Exceeding]:
    """Find where each feature exceeds; `factors` are significance factors, 0 for the fixed levels alone."""
    found = []
    for feature, psi, samples, factor in zip(features, series.psi, series.samples, factors.tolist(), strict=True):
        with np.errstate(invalid="ignore"):
            at = np.flatnonzero(psi >= lowest)
            least = factor * (1 / samples[at] + 1 / series.reference_rows[at])
        values = np.array(psi[at])
        over = values > least
        with np.errstate(divide="ignore"):
            ratio = values[over] / least[over]
        found.append(Exceeding(feature, series.evaluated, at[over], values[over], ratio))
    return found


def concerned(found: Sequence[Exceeding], alert: str) -> list[Exceeding]:
    """Return those of the features that an alert is about."""
    return [e for e in found if alert.endswith(next(k for k, role in KINDS.items() if role == e.feature.role))]


def level_of(alert: str) -> str:
    """Return the level that a drift alert is about."""
    return next(level for level in LEVELS if alert.startswith(level))


def drift_firings(
    alert: str, found: Sequence[Exceeding], band: Band, *, wait: int, beyond: float = 1.0
) -> Iterator[Firing]:
    """Yield when a drift alert fires, feature by feature.

    With `beyond`, PSI has to exceed chance that many times.
    """
    for e in concerned(found, alert):
        inside = band.holds(e.psi)
        if beyond > 1:
            inside &= e.ratio > beyond
        at, psi, evaluated = e.at[inside], e.psi[inside], e.evaluated
        held = stretches(at)
        for first, after in firing(held, wait=wait, interval=evaluated.interval).tolist():
            low, high = np.searchsorted(at, (first, after))
            yield Firing(
                alert=alert,
                subject=e.feature.name,
                start=(evaluated.first + first * evaluated.interval) / 1000,
                end=(evaluated.first + after * evaluated.interval) / 1000,
                peak=float(psi[low:high].max()),
                ended=after < evaluated.number,
            )


def stretches(at: NDArray[np.int64]) -> Runs:
    """Return the stretches of consecutive numbers, each as its first and the one after its last.

    >>> stretches(np.array([3, 4, 7])).tolist()
    [[3, 5], [7, 8]]
    """
    if not at.size:
        return np.zeros((0, 2), dtype=np.int64)
    breaks = np.flatnonzero(np.diff(at) > 1)
    firsts = at[np.concatenate(([0], breaks + 1))]
    lasts = at[np.concatenate((breaks, [at.size - 1]))]
    return np.stack((firsts, lasts + 1), axis=1)
