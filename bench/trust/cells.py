"""Cells: how often the PSI of one window exceeds what chance explains, without drift: `python -m bench.trust cells`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidecar.reference import build
from sidecar.statistics import drift
from sidecar.statistics.bins import NumericBins

ALPHA = 0.001
ROWS = (200, 1000, 10_000)
SAMPLES = (200, 1000, 10_000, 100_000)
_ONE = np.zeros(1, dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A feature: `values` that come with these weights, or any number from 0 to 1 where there are none."""

    values: Sequence[Any] = ()
    weights: Sequence[float] = ()
    bins: int = 10

    def rows(self, number: int, random: np.random.Generator) -> list[Any]:
        """Draw rows."""
        if not self.values:
            return list(random.random(number).tolist())
        codes = random.choice(len(self.values), number, p=self._shares())
        return [self.values[code] for code in codes.tolist()]

    def bin_shares(self, bins: Any) -> NDArray[np.float64]:
        """Return the share of the values that each bin truly has."""
        if not self.values:
            assert isinstance(bins, NumericBins)
            return np.append(np.diff(np.clip(np.concatenate(([0], bins.edges, [1])), 0, 1)), 0)
        places = bins.index(np.array(self.values, float) if isinstance(bins, NumericBins) else self.values)
        return np.bincount(places, weights=self._shares(), minlength=bins.size).astype(np.float64)

    def _shares(self) -> NDArray[np.float64]:
        weights = np.array(self.weights, dtype=np.float64)
        return np.asarray(weights / weights.sum())


def _categories(weights: Sequence[float]) -> Case:
    return Case(values=[f"c{i:03d}" for i in range(len(weights))], weights=weights)


CASES: Mapping[str, Case] = {
    "2 bins": Case(bins=2),
    "10 bins": Case(),
    "50 bins": Case(bins=50),
    "Zipf(1.25), 160 categories": _categories([k**-1.25 for k in range(1, 161)]),
    "Zipf(1.1), 60 categories": _categories([k**-1.1 for k in range(1, 61)]),
    "six categories of 0.1 %": _categories([0.7, 0.294, *[0.001] * 6]),
    "two categories, one of 3 %": _categories([0.97, 0.03]),
    "zeros, and 5 % from 1 to 30": Case(values=range(31), weights=[0.95, *[0.05 / 30] * 30]),
    "small counts": Case(values=range(9), weights=[0.3, 0.36, 0.2, 0.09, 0.03, 0.012, 0.005, 0.002, 0.001]),
}


def share_beyond(case: Case, rows: int, samples: int, *, references: int, windows: int, seed: int = 1) -> float:
    """Return the share of windows beyond the threshold, over many references as `reference build` makes them."""
    random = np.random.default_rng([seed, rows, samples])
    beyond = 0.0
    for _ in range(references):
        profile = build({"x": case.rows(rows, random)}, bins=case.bins, window_rows=rows)
        [feature] = profile.features
        live = random.multinomial(samples, case.bin_shares(feature.bins()), windows)
        shares = drift.reference_shares(np.array(feature.bin_counts()), _ONE)
        psi = drift.psi(drift.live_shares(live, shares, _ONE), shares, _ONE)[:, 0]
        beyond += float((psi > feature.significance_factor(ALPHA) * (1 / samples + 1 / rows)).mean())
    return beyond / references


def main(*, references: int, windows: int) -> None:
    """Print the table."""
    print(f"Windows beyond the threshold, in thousandths; alpha is {ALPHA * 1000:g}.\n")
    heads = ["feature", "reference", *(f"{samples:,} events" for samples in SAMPLES)]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for name, case in CASES.items():
        for rows in ROWS:
            found = [share_beyond(case, rows, samples, references=references, windows=windows) for samples in SAMPLES]
            print(f"| {name} | {rows:,} | " + " | ".join(f"{1000 * share:.1f}" for share in found) + " |", flush=True)
