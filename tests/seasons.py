"""Profiles by season, made by hand from columns whose slots are known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from sidecar.reference import Profile
from sidecar.reference.profile import check
from sidecar.season import Season


def by_season(profile: Profile, columns: Mapping[str, Any], slots: NDArray[Any], season: Season) -> Profile:
    """Add to a profile the counts by slot of the columns that it was built from; `slots` has one for each row."""
    features = []
    for feature in profile.features:
        bins = feature.bins()
        index = bins.index(columns[feature.name])
        cells = np.bincount(slots * bins.size + index, minlength=season.slots * bins.size)
        features.append(replace(feature, season_counts=cells.astype("<u4").tobytes()))
    rows = tuple(np.bincount(slots, minlength=season.slots).tolist())
    made = replace(profile, season=season, season_rows=rows, features=tuple(features))
    check(made)
    return made
