"""Difference: how far the counts of one profile lie from those of another, feature by feature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sidecar.config import DriftConfig
from sidecar.reference.counting.thin import thin_effect
from sidecar.reference.profile import CategoricalProfile, FeatureProfile, NumericProfile, Profile
from sidecar.statistics import drift
from sidecar.statistics.drift_table import PSI, STATISTICS, THRESHOLD, Compared
from sidecar.statistics.levels import UNKNOWN, level_indices, level_name

_START = np.zeros(1, dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far one feature of B is from that of A, by the statistics of the table.

    There are none where the two cannot be compared, as `note` says; one without a value is None.
    """

    role: str
    name: str
    level: str = UNKNOWN
    statistics: Mapping[str, float | None] = field(default_factory=lambda: dict.fromkeys(s.name for s in STATISTICS))
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
    return sorted(found, key=_order)


def _order(found: Difference) -> tuple[bool, float, str, str]:
    psi = found.statistics[PSI.name]
    return psi is not None, -(psi or 0.0), found.role, found.name


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
    samples = np.array([rows_b])
    compared = Compared(
        counts=live,
        live=q,
        reference=r,
        reference_counts=reference,
        starts=_START,
        present=np.arange(len(reference)) < len(reference) - 1,
        numeric=np.array([isinstance(a, NumericProfile) and isinstance(b, NumericProfile)]),
        samples=samples,
        reference_samples=np.array([rows_a]),
        significance_factor=np.array(
            [
                drift.significance_factor(
                    len(reference),
                    alpha=settings.alpha,
                    design_effect=a.design_effect,
                    thin_effect=thin_effect(reference.tolist()),
                )
            ]
        ),
    )
    found = {statistic.name: statistic.formula(compared) for statistic in STATISTICS}
    thresholds = [settings.thresholds_for(a.name)]
    level = level_indices(found[PSI.name], found[THRESHOLD.name], samples, thresholds, min_samples=settings.min_samples)
    return Difference(
        role=a.role,
        name=a.name,
        level=level_name(int(level[0])),
        statistics={name: None if np.isnan(value[0]) else float(value[0]) for name, value in found.items()},
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
