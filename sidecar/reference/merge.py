"""Merge profiles of parts of the data, made apart in the same bins, into the profile of all of it."""

import math
from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np

from sidecar.reference.counting.design_effects import LEAST_BLOCKS, stretch_effects
from sidecar.reference.counting.stretches import LEAST_BLOCK_ROWS
from sidecar.reference.counting.thin import thin_effect
from sidecar.reference.profile import (
    CategoricalProfile,
    FeatureProfile,
    NumericProfile,
    Profile,
    ProfileError,
    check,
    season_bytes,
    season_counts,
)
from sidecar.statistics import drift
from sidecar.statistics.season import Season

_ONE = np.array([0])


def merge(parts: Sequence[Profile], *, names: Sequence[str] | None = None, source: str | None = None) -> Profile:
    """Merge profiles of parts that have the same bins; `names` call the parts in errors.

    Counts, rows, extremes and so the fingerprint are those of one profile of all rows, exactly; mean and standard
    deviation up to rounding. The design effect is put together by `design_effect`, that of parts by season by
    `seasonal_effect`. Raises ProfileError.
    """
    called = [part.source or f"part {i + 1}" for i, part in enumerate(parts)] if names is None else list(names)
    if len(parts) < 2:
        raise ProfileError("there is nothing to merge: name at least two profiles")
    first = parts[0]
    for part, name in zip(parts[1:], called[1:], strict=True):
        _require_alike(first, called[0], part, name)
    profile = Profile(
        model=first.model,
        model_version=first.model_version,
        source=_sources(parts) if source is None else source,
        created=_newest(parts),
        rows=sum(part.rows for part in parts),
        window_rows=max(part.window_rows for part in parts),
        parts=tuple(fingerprint for part in parts for fingerprint in _merged(part)),
        season=first.season,
        season_rows=tuple(sum(rows) for rows in zip(*(part.season_rows for part in parts), strict=True)),
        features=tuple(_feature(parts, i) for i in range(len(first.features))),
    )
    check(profile)
    return profile


def require_different(parts: Sequence[Profile], names: Sequence[str]) -> None:
    """Refuse parts of which two hold the same rows, such as a copy or what was merged before; raises ProfileError."""
    holders: dict[str, str] = {}
    for part, name in zip(parts, names, strict=True):
        for fingerprint in _merged(part):
            if fingerprint in holders:
                raise ProfileError(
                    f"{name} holds the rows of part {fingerprint}, which {holders[fingerprint]} holds too: "
                    "they would be counted twice"
                )
            holders[fingerprint] = name


def _merged(part: Profile) -> tuple[str, ...]:
    return part.parts or (part.fingerprint,)


def design_effect(parts: Sequence[Profile], features: Sequence[FeatureProfile], total: Sequence[int]) -> float:
    """Return the design effect of all rows from those of the parts.

    The PSI of a block of m rows against the whole is that against its part, plus that of the part against the whole:
    to the second order, in which PSI is a sum of squares, this is the analysis of variance. Weighted by rows,

        sum M_p / M (D_p (b_p - 1)(1/m - 1/M_p) + PSI(part, whole)) / ((b - 1)(1/m - 1/M)),

    with m the largest block of any part, b the number of bins with values; at least 1.
    """
    rows, block = sum(part.rows for part in parts), max(part.window_rows for part in parts)
    degrees = max(_occupied(total) - 1, 1)
    if not 0 < block < rows:
        return max(feature.design_effect for feature in features)
    shares = drift.reference_shares(np.array(total), _ONE)
    observed = 0.0
    for part, feature in zip(parts, features, strict=True):
        counts = feature.bin_counts()
        inside = feature.design_effect * max(_occupied(counts) - 1, 0) * max(1 / block - 1 / part.rows, 0.0)
        between = float(drift.psi(drift.live_shares(np.array(counts), shares, _ONE), shares, _ONE)[0])
        observed += part.rows / rows * (inside + between)
    return max(1.0, observed / (degrees * (1 / block - 1 / rows)))


def seasonal_effect(
    parts: Sequence[Profile], features: Sequence[FeatureProfile], total: Sequence[int], season: Season
) -> float:
    """Return the design effect of all rows from those of parts by season.

    Of a slot of the season a part has n rows and all have M. A block of m rows lies around those n as the design effect
    D_p of the part says, and they around those M, so that to the second order again it has

        x = (D_p (b_p - 1)(1/m - 1/n) + PSI(slot in part, slot in all)) / (1/m - 1/M),

    which is what `stretch_effects` takes of stretches; with parts of one cycle each, slots in them are the stretches.
    That PSI is taken from the one against other parts, times `(1 - n/M)^2`. m is the largest block of any part, and no
    more than n. The effect is at least the mean of those of the parts, weighted by rows.
    """
    knows = np.array([part.window_rows > 0 for part in parts])
    weights = np.array([part.rows for part in parts]) * (knows if knows.any() else 1)
    effects = np.array([feature.design_effect for feature in features])
    least = float(weights @ effects / weights.sum())
    block = max(part.window_rows for part in parts)
    counts = np.array([season_counts(feature, season) for feature in features]).astype(np.int64)
    events, others = counts.sum(axis=2), counts.sum(axis=0) - counts
    rows, rest = np.minimum(block, events) if block else events, others.sum(axis=2)
    usable = (events >= LEAST_BLOCK_ROWS) & (rest >= rows / 2)
    if usable.sum() < LEAST_BLOCKS:
        return least
    part, rows, events, rest = np.nonzero(usable)[0], rows[usable], events[usable], rest[usable]
    whole = drift.reference_shares(np.array(total), _ONE)
    expected = drift.live_shares(others[usable], whole, _ONE)
    apart = drift.psi(drift.live_shares(counts[usable], expected, _ONE), expected, _ONE)[:, 0]
    degrees = np.array([max(_occupied(feature.bin_counts()) - 1, 0) for feature in features])
    spread = np.where(knows, effects, least) * degrees
    observed = spread[part] * (1 / rows - 1 / events) + apart * (rest / (events + rest)) ** 2
    scaled = observed / (1 / rows - 1 / (events + rest))
    return max(least, float(stretch_effects(scaled[:, None], np.array(total), _ONE)[0]))


def _occupied(counts: Sequence[int]) -> int:
    return sum(count > 0 for count in counts)


def _require_alike(a: Profile, a_name: str, b: Profile, b_name: str) -> None:
    for what in ("model", "model_version"):
        if getattr(a, what) != getattr(b, what):
            raise ProfileError(
                f"{b_name} is of {what.replace('_', ' ')} {getattr(b, what)!r} and {a_name} of {getattr(a, what)!r}"
            )
    if a.season != b.season:
        raise ProfileError(
            f"{b_name} is {_by(b.season)} and {a_name} {_by(a.season)}: build every part with the same --season"
        )
    of_a, of_b = ([(f.role, f.name) for f in part.features] for part in (a, b))
    odd = next((key for key in (*of_a, *of_b) if (key in of_a) != (key in of_b)), None)
    if odd is not None:
        has, lacks = (a_name, b_name) if odd in of_a else (b_name, a_name)
        raise ProfileError(f"{has} has the {odd[0]} {odd[1]!r} and {lacks} has not")
    for feature in a.features:
        if _bins(feature) != _bins(_same(b, feature)):
            raise ProfileError(
                f"the bins of {feature.role} {feature.name!r} in {b_name} are not those in {a_name}: "
                "build every part with --bins-from the same file"
            )


def _by(season: Season | None) -> str:
    return "without a season" if season is None else f"by {season.cycle} ({season.time_zone})"


def _bins(feature: FeatureProfile) -> tuple[str, tuple[float, ...] | tuple[str, ...]]:
    if isinstance(feature, NumericProfile):
        return "numeric", feature.edges
    return "categorical", feature.categories


def _same(part: Profile, feature: FeatureProfile) -> FeatureProfile:
    return next(f for f in part.features if (f.role, f.name) == (feature.role, feature.name))


def _feature(parts: Sequence[Profile], number: int) -> FeatureProfile:
    features = [_same(part, parts[0].features[number]) for part in parts]
    total = [sum(counts) for counts in zip(*(f.bin_counts() for f in features), strict=True)]
    first, season = features[0], parts[0].season
    if season is None:
        effect, by_slot = round(design_effect(parts, features, total), 4), b""
    else:
        effect = round(seasonal_effect(parts, features, total, season), 4)
        by_slot = season_bytes(np.array([season_counts(f, season) for f in features]).sum(axis=0, dtype=np.int64))
    slots = [rows for rows in map(sum, zip(*(part.season_rows for part in parts), strict=True)) if rows]
    thin = round(thin_effect(total, float(np.median(slots)) if slots else None), 4)
    if isinstance(first, CategoricalProfile):
        return msgspec.structs.replace(
            first,
            thin_effect=thin,
            counts=tuple(total[:-2]),
            other=total[-2],
            missing=total[-1],
            design_effect=effect,
            season_counts=by_slot,
        )
    numeric = [f for f in features if isinstance(f, NumericProfile)]
    mean, std = _moments(numeric)
    return msgspec.structs.replace(
        first,
        thin_effect=thin,
        counts=tuple(total[:-1]),
        missing=total[-1],
        min=min((f.min for f in numeric if f.min is not None), default=None),
        max=max((f.max for f in numeric if f.max is not None), default=None),
        mean=mean,
        std=std,
        design_effect=effect,
        season_counts=by_slot,
    )


def _moments(features: Sequence[NumericProfile]) -> tuple[float | None, float | None]:
    """Merge means and standard deviations by the formula of Chan et al. (1979).

    A part weighs as many values as it has. None where sums of a part were beyond the range of a double.
    """
    count, mean, squares = 0, 0.0, 0.0
    for feature in features:
        if feature.min is None:
            continue
        if feature.mean is None or feature.std is None:
            return None, None
        values = sum(feature.counts)
        delta = feature.mean - mean
        squares += feature.std**2 * values + delta * delta * count * values / (count + values)
        mean += delta * values / (count + values)
        count += values
    if not count or not math.isfinite(squares):
        return (mean if count else None), None
    return mean, math.sqrt(squares / count)


def _newest(parts: Sequence[Profile]) -> datetime:
    return max(part.created for part in parts)


def _sources(parts: Sequence[Profile]) -> str:
    names = list(dict.fromkeys(part.source for part in parts if part.source))
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} to {names[-1]}, {len(names)} parts"
