"""What a profile will not be good for, said when it is made rather than when a sidecar takes it."""

from collections.abc import Iterator

import numpy as np

from sidecar.config import DriftConfig, Limits
from sidecar.reference.profile import CategoricalProfile, Profile
from sidecar.statistics import drift


def shortcomings(profile: Profile) -> Iterator[str]:
    """Say in one sentence each what a sidecar with default settings cannot do with a profile."""
    yield from _beyond_limits(profile, Limits())
    yield from _blind(profile, DriftConfig())


def _beyond_limits(profile: Profile, limits: Limits) -> Iterator[str]:
    inputs = len(profile.inputs)
    if inputs > limits.features:
        yield f"a sidecar takes {limits.features} features by default: set limits.features to {inputs}"
    texts = [f for f in profile.features if isinstance(f, CategoricalProfile)]
    categories = max((len(feature.categories) for feature in texts), default=0)
    if categories > limits.categories:
        yield f"a sidecar takes {limits.categories} categories by default: set limits.categories to {categories}"
    longest = max((len(category) for feature in texts for category in feature.categories), default=0)
    if longest > limits.string_length:
        yield f"a sidecar takes {limits.string_length} characters by default: set limits.string_length to {longest}"


def _blind(profile: Profile, settings: DriftConfig) -> Iterator[str]:
    """Say of how many features critical drift would be no more than chance, however many events there are."""
    critical = settings.thresholds.critical
    factors = [f.significance_factor(settings.alpha) for f in profile.features]
    least = drift.psi_threshold(np.array(factors), np.array([np.inf]), np.array([profile.rows]))
    blind = int((least > critical).sum())
    if not blind:
        return
    worst = profile.features[int(least.argmax())].name
    rows = int(np.ceil(max(factors) / critical))
    yield (
        f"{profile.rows} rows are too few to tell critical drift from chance in {blind} of {len(factors)} features: "
        f"of {worst!r} a PSI below {least.max():.2g} says nothing; with {rows} rows, one of {critical:g} would"
    )
