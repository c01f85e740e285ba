"""Peers: other ways of telling drift, at thresholds that raise as many false alarms as ours did before the drift.

They live in the environment of `make bench`; those that are absent are left out of the table, which says so.
"""

import importlib.util
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.trust.streams import BEGIN, Rows

_DELTAS = (0.002, 1e-4, 1e-6, 1e-9, 1e-13, 1e-20)
_REFERENCE_ROWS = 10_000
"""Rows of the reference that a peer is given, taken evenly from it: they hold raw values."""

Score = Callable[[NDArray[Any], NDArray[Any]], float]


def absent() -> list[str]:
    """Return the names of the peers that are not installed here."""
    wanted = {"KS": "scipy", "Evidently": "evidently", "ADWIN": "river"}
    return [name for name, module in wanted.items() if importlib.util.find_spec(module) is None]


def delays(reference: Rows, live: Rows, drift_at: float, *, alarms: int) -> dict[str, float | None]:
    """Return for each peer how many minutes after `drift_at` it told of drift, None if it did not.

    Those that compare hours say it at the end of one; their thresholds are the least that `alarms` hours of those
    before exceed. ADWIN reads every value, by the largest of a few deltas that raises no more alarms.
    """
    gone, found = absent(), {}
    every = slice(None, None, max(1, reference.times.size // _REFERENCE_ROWS))
    base = {name: column[every] for name, column in reference.columns.items()}
    for name, maker in (("KS", _ks), ("Evidently", _evidently)):
        if name not in gone:
            found[name] = _by_hour(maker(), base, live, drift_at, alarms)
    if "ADWIN" not in gone:
        found["ADWIN"] = _adwin(live, drift_at, alarms)
    return found


def _by_hour(score: Score, base: Mapping[str, NDArray[Any]], live: Rows, drift_at: float, alarms: int) -> float | None:
    hours = ((live.times - BEGIN) // 3600).astype(int)
    before: list[tuple[float, float]] = []
    after: list[tuple[float, float]] = []
    for hour in range(int(hours[0]), int(hours[-1]) + 1):
        low, high = np.searchsorted(hours, (hour, hour + 1))
        most = max((score(base[n], c[low:high]) for n, c in live.columns.items()), default=0.0)
        end = BEGIN + (hour + 1) * 3600
        (before if end <= drift_at else after).append((end, most))
    limit = sorted((most for _, most in before), reverse=True)[alarms]
    return next(((end - drift_at) / 60 for end, most in after if most > limit), None)


def _ks() -> Score:
    from scipy.stats import ks_2samp

    def score(base: NDArray[Any], live: NDArray[Any]) -> float:
        base, live = base[~np.isnan(base)], live[~np.isnan(live)]
        return float(ks_2samp(base, live).statistic * np.sqrt(base.size * live.size / (base.size + live.size)))

    return score


def _evidently() -> Score:
    """Return its default for many values, the Wasserstein distance in standard deviations."""
    import pandas as pd
    from evidently.legacy.calculations.stattests import get_stattest

    def score(base: NDArray[Any], live: NDArray[Any]) -> float:
        kept = pd.Series(base[~np.isnan(base)]), pd.Series(live[~np.isnan(live)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(get_stattest(*kept, "num", None).func(*kept, "num", 0.1)[0])

    return score


def _adwin(live: Rows, drift_at: float, alarms: int) -> float | None:
    from river.drift import ADWIN

    for delta in _DELTAS:
        told = [_first_alarms(ADWIN(delta=delta), live.times, column, drift_at) for column in live.columns.values()]
        if sum(before for before, _ in told) <= alarms:
            return min((after for _, after in told if after is not None), default=None)
    return None


def _first_alarms(
    detector: Any, times: NDArray[np.float64], column: NDArray[Any], drift_at: float
) -> tuple[int, float | None]:
    before = 0
    for time, value in _present(times, column):
        detector.update(value)
        if detector.drift_detected:
            if time >= drift_at:
                return before, (time - drift_at) / 60
            before += 1
    return before, None


def _present(times: NDArray[np.float64], column: NDArray[Any]) -> Iterable[tuple[float, float]]:
    there = ~np.isnan(column)
    return zip(times[there].tolist(), column[there].tolist(), strict=True)
