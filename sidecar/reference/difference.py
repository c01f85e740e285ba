"""Difference: how far the counts of one profile lie from those of another, feature by feature."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sidecar.config import DriftConfig
from sidecar.reference.profile import CategoricalProfile, FeatureProfile, NumericProfile, Profile
from sidecar.statistics import drift
from sidecar.statistics.levels import UNKNOWN, level_indices, level_name

_START = np.zeros(1, dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far one feature of B is from that of A; statistics are None where they cannot be compared, as `note` says.

    `ks` is also None for categorical features and where one side is all missing.
    """

    role: str
    name: str
    level: str = UNKNOWN
    psi: float | None = None
    kl: float | None = None
    js: float | None = None
    ks: float | None = None
    threshold: float | None = None
    missing: tuple[float, float] = (0.0, 0.0)
    note: str = ""


def differences(a: Profile, b: Profile, settings: DriftConfig) -> list[Difference]:
    """Compare every feature of two profiles, largest PSI first; what cannot be compared comes before all."""
    ours = {(f.role, f.name): f for f in a.features}
    theirs = {(f.role, f.name): f for f in b.features}
    found = []
    for key in ours | theirs:
        if key not in theirs or key not in ours:
            side = "the first" if key in ours else "the second"
            found.append(Difference(role=key[0], name=key[1], note=f"only in {side}"))
        else:
            found.append(difference(ours[key], theirs[key], settings))
    return sorted(found, key=lambda d: (d.psi is not None, -(d.psi or 0.0), d.role, d.name))


def difference(a: FeatureProfile, b: FeatureProfile, settings: DriftConfig) -> Difference:
    """Compare one feature in bins that both have; `a` is the reference, and its design effect counts."""
    rows_a, rows_b = sum(a.bin_counts()), sum(b.bin_counts())
    missing = (a.missing / rows_a, b.missing / rows_b)
    matched = in_common_bins(a, b)
    if isinstance(matched, str):
        return Difference(role=a.role, name=a.name, missing=missing, note=matched)
    reference, live = np.array(matched[0], dtype=np.int64), np.array(matched[1], dtype=np.int64)
    r = drift.reference_shares(reference, _START)
    q = drift.live_shares(live, r, _START)
    psi = drift.psi(q, r, _START)
    factor = drift.significance_factor(len(reference), alpha=settings.alpha, design_effect=a.design_effect)
    samples = np.array([rows_b])
    threshold = drift.psi_threshold(np.array([factor]), samples, np.array([rows_a]))
    thresholds = [settings.thresholds_for(a.name)]
    level = level_indices(psi, threshold, samples, thresholds, min_samples=settings.min_samples)
    ks = np.nan
    if isinstance(a, NumericProfile) and isinstance(b, NumericProfile):
        present = np.arange(len(reference)) < len(reference) - 1
        ks = float(drift.ks_statistic(live, reference, _START, present)[0])
    return Difference(
        role=a.role,
        name=a.name,
        level=level_name(int(level[0])),
        psi=float(psi[0]),
        kl=float(drift.kl_divergence(q, r, _START)[0]),
        js=float(drift.js_divergence(q, r, _START)[0]),
        ks=None if np.isnan(ks) else ks,
        threshold=float(threshold[0]),
        missing=missing,
        note=matched[2],
    )


def in_common_bins(a: FeatureProfile, b: FeatureProfile) -> tuple[Sequence[int], Sequence[int], str] | str:
    """Return the counts of both in the same bins and a note on how, or why there are none.

    Numeric bins have to be the same. Categories that only one side lists are `other` on both. A feature that never had
    a value is all `missing`, against which the other's values are one bin.
    """
    if isinstance(a, NumericProfile) and isinstance(b, NumericProfile):
        if a.edges != b.edges:
            return "the bins differ: compare the data instead of the profiles"
        return a.bin_counts(), b.bin_counts(), ""
    if isinstance(a, CategoricalProfile) and isinstance(b, CategoricalProfile):
        common = [name for name in a.categories if name in set(b.categories)]
        alone = len(a.categories) + len(b.categories) - 2 * len(common)
        note = f"{alone} categories that one side lists are `other`" if alone else ""
        return _of(a, common), _of(b, common), note
    for feature in (a, b):
        if isinstance(feature, CategoricalProfile) and feature.categories:
            return "one side is numeric, the other categorical"
    rows_a, rows_b = sum(a.bin_counts()), sum(b.bin_counts())
    return (rows_a - a.missing, a.missing), (rows_b - b.missing, b.missing), "present against missing"


def _of(feature: CategoricalProfile, categories: Sequence[str]) -> list[int]:
    counts = dict(zip(feature.categories, feature.counts, strict=True))
    kept = [counts[name] for name in categories]
    return [*kept, sum(feature.counts) + feature.other - sum(kept), feature.missing]
