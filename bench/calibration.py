"""Calibration: how often windows without any drift reach a level, by the fixed threshold alone and calibrated.

`python -m bench.calibration` prints the table of docs/calibration.md.
"""

from dataclasses import dataclass

import numpy as np

from sidecar.config import DriftConfig
from sidecar.reference import build
from sidecar.statistics import drift
from sidecar.statistics.bins import NumericBins
from sidecar.statistics.levels import level_indices

WINDOWS = 200
REFERENCE_ROWS = 20_000
SAMPLES = (200, 500, 1000, 5000)
BINS = (10, 30, 50)


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """How many of `windows` without drift have the level moderate or worse."""

    windows: int
    samples: int
    bins: int
    threshold: float
    fixed: int
    calibrated: int


def simulate(samples: int, bins: int, *, seed: int = 0) -> FalseAlarms:
    """Compare windows of `samples` values with a reference of the same distribution."""
    random = np.random.default_rng([seed, samples, bins])
    profile = build({"feature": random.normal(size=REFERENCE_ROWS)}, bins=bins)
    feature, settings, starts = profile.features[0], DriftConfig(), np.array([0])
    binned = feature.bins()
    assert isinstance(binned, NumericBins)  # what normal values are profiled with
    counts = np.array(
        [np.bincount(binned.index(random.normal(size=samples)), minlength=binned.size) for _ in range(WINDOWS)]
    )
    shares = drift.reference_shares(np.array(feature.bin_counts()), starts)
    psi = drift.psi(drift.live_shares(counts, shares, starts), shares, starts)
    factor = drift.significance_factor(binned.size, alpha=settings.alpha, design_effect=feature.design_effect)
    number = np.full_like(psi, samples, dtype=np.int64)
    threshold = drift.psi_threshold(np.array([factor]), number, np.array([REFERENCE_ROWS]))
    levels = level_indices(psi, threshold, number, [settings.thresholds], min_samples=settings.min_samples)
    return FalseAlarms(
        windows=WINDOWS,
        samples=samples,
        bins=bins,
        threshold=float(threshold[0, 0]),
        fixed=int((psi >= settings.thresholds.moderate).sum()),
        calibrated=int((levels > 0).sum()),
    )


def table() -> str:
    """Return the table, as Markdown."""
    rows = [simulate(samples, bins) for samples in SAMPLES for bins in BINS]
    lines = [
        "| samples in the window | bins | PSI significant above | fixed threshold alone | calibrated |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.samples} | {row.bins} | {row.threshold:.3f} | {row.fixed} of {row.windows} "
        f"| {row.calibrated} of {row.windows} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
