"""Profiles by season, made by hand from columns whose slots are known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from sidecar.reference import Profile
from sidecar.reference.profile import check
from sidecar.statistics.season import Season
from tests.plugins.serving import fraud_columns, fraud_profile


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


def fraud_profile_by_season() -> Profile:
    """Return the reference of a day on which the first half of the rows came between 0 and 1, the other later."""
    slots = np.repeat([0, 5, 23], [500, 300, 200])
    return by_season(fraud_profile(), fraud_columns(), slots, Season(cycle="hour-of-day"))
