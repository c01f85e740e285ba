"""What counting ends in: the agreed bins of every column, what was counted in them, and the profile of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.reference.counting.thin import thin_effects
from sidecar.reference.profile import (
    CategoricalProfile,
    FeatureProfile,
    NumericProfile,
    Profile,
    ProfileError,
    Role,
    check,
    season_bytes,
)
from sidecar.statistics.bins import Bins, CategoricalBins, Floats
from sidecar.statistics.season import Season


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column that becomes a feature or an output."""

    column: str
    name: str
    role: Role


@dataclass(slots=True)
class FeatureSpec:
    """The agreed bins of one column."""

    wanted: Wanted
    bins: Bins


@dataclass(slots=True)
class Moments:
    """Count, mean and sum of squared differences of the finite values, merged by the formula of Chan et al. (1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    min: float | None = None
    max: float | None = None

    def add(self, values: Floats) -> None:
        """Add values; those that are not finite are left out."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
        self.min = low if self.min is None else min(self.min, low)
        self.max = high if self.max is None else max(self.max, high)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(finite.mean())
            squares = float(((finite - mean) ** 2).sum())
            total = self.count + finite.size
            delta = mean - self.mean
            self.squares += squares + delta * delta * self.count * finite.size / total
            self.mean += delta * finite.size / total
        self.count = total

    def std(self) -> float:
        """Return the standard deviation, of at least one value."""
        return math.sqrt(self.squares / self.count)


@dataclass(frozen=True, slots=True)
class Total:
    """All rows: how many there are in all bins of all features, end to end, and the moments of each feature."""

    rows: int
    counts: NDArray[np.int64]
    moments: Sequence[Moments]


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows counted in all bins of all features, end to end (`counts`), and for each feature its design effect.

    The effects are for windows of `window_rows` rows; of the clock, they are from so many `stretches`. With a `season`,
    `by_slot` are the counts in each of its slots, shape `(slots, bins)`, and `season_rows` the rows.
    """

    rows: int
    counts: NDArray[np.int64]
    design_effects: Floats
    moments: Sequence[Moments]
    window_rows: int
    stretches: int = 0
    season: Season | None = None
    season_rows: tuple[int, ...] = ()
    by_slot: NDArray[np.int64] | None = None


def assemble(
    specs: Sequence[FeatureSpec],
    counted: Counted,
    *,
    model: str,
    model_version: str,
    source: str,
    created: datetime | None = None,
) -> Profile:
    """Return the profile of what was counted in agreed bins; raises ProfileError if that is nothing."""
    if counted.rows == 0:
        raise ProfileError("there are no rows to build from")
    features, thin = [], _thin_effects(specs, counted)
    for i, (spec, start) in enumerate(zip(specs, first_bins(specs).tolist(), strict=True)):
        own = slice(start, start + spec.bins.size)
        feature = _feature(
            spec, counted.counts[own].tolist(), counted.moments[i], design_effect=float(counted.design_effects[i])
        )
        feature = msgspec.structs.replace(feature, thin_effect=round(float(thin[i]), 4))
        if counted.by_slot is not None:
            feature = msgspec.structs.replace(feature, season_counts=season_bytes(counted.by_slot[:, own]))
        features.append(feature)
    profile = Profile(
        model=model,
        model_version=model_version,
        source=source,
        created=(created or datetime.now(UTC)).replace(microsecond=0),
        rows=counted.rows,
        window_rows=counted.window_rows,
        season=counted.season,
        season_rows=counted.season_rows,
        features=tuple(features),
    )
    check(profile)
    return profile


def _thin_effects(specs: Sequence[FeatureSpec], counted: Counted) -> Floats:
    """Return those of the counts, or of an hour of the middle by season, with which windows are compared then."""
    rows = [number for number in counted.season_rows if number]
    return thin_effects(counted.counts, first_bins(specs), rows=float(np.median(rows)) if rows else None)


def first_bins(specs: Sequence[FeatureSpec]) -> NDArray[np.intp]:
    """Return where the bins of each feature begin, end to end."""
    sizes = [spec.bins.size for spec in specs]
    return np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)


def _finite(value: float) -> float | None:
    """Return the value, or None where squares or sums were beyond the range of a double."""
    return value if math.isfinite(value) else None


def _feature(spec: FeatureSpec, counts: list[int], moments: Moments, *, design_effect: float) -> FeatureProfile:
    name, role = spec.wanted.name, spec.wanted.role
    rounded = round(design_effect, 4)
    if isinstance(spec.bins, CategoricalBins):
        return CategoricalProfile(
            name=name,
            role=role,
            categories=spec.bins.categories,
            counts=tuple(counts[:-2]),
            other=counts[-2],
            missing=counts[-1],
            design_effect=rounded,
        )
    return NumericProfile(
        name=name,
        role=role,
        edges=tuple(spec.bins.edges.tolist()),
        counts=tuple(counts[:-1]),
        missing=counts[-1],
        min=moments.min,
        max=moments.max,
        mean=_finite(moments.mean) if moments.count else None,
        std=_finite(moments.std()) if moments.count else None,
        design_effect=rounded,
    )
