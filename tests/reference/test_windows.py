"""Design effect by windows of the clock: thresholds that hold for traffic with days and nights."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from sidecar.reference import Profile, ProfileError, files
from sidecar.statistics import drift
from sidecar.statistics.bins import NumericBins

HOURS = 24 * 21
ROWS_AN_HOUR = 300


def traffic(seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return times, a value that goes with the hour of the day, and one that does not."""
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(0, HOURS * 3600, HOURS * ROWS_AN_HOUR))
    cycle = np.sin(2 * np.pi * times / 86_400)
    return times, random.normal(cycle, 1), random.normal(size=times.size)


def written(path: Path, seed: int, *, shuffled: bool = False, unit: float = 1) -> Path:
    times, cyclic, steady = traffic(seed)
    frame = pd.DataFrame({"at": (times * unit + 1.6e9 * unit).astype(np.int64), "cyclic": cyclic, "steady": steady})
    frame = frame.sample(frac=1, random_state=1) if shuffled else frame
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        connection.execute(f"COPY frame TO '{path}'")
    return path


def effects(profile: Profile) -> dict[str, float]:
    return {f.name: f.design_effect for f in profile.features}


def alarms(profile: Profile, seed: int) -> dict[str, float]:
    """Return the share of other hours of the same traffic in which PSI is above what chance explains."""
    times, *columns = traffic(seed)
    hour = (times // 3600).astype(int)
    shares = {}
    for feature, column in zip(profile.features, columns, strict=True):
        bins = feature.bins()
        assert isinstance(bins, NumericBins)
        counts = np.zeros((HOURS, bins.size), dtype=np.int64)
        np.add.at(counts, (hour, bins.index(column)), 1)
        starts = np.array([0])
        reference = drift.reference_shares(np.array(feature.bin_counts()), starts)
        psi = drift.psi(drift.live_shares(counts, reference, starts), reference, starts)
        factor = drift.significance_factor(bins.size, alpha=0.001, design_effect=feature.design_effect)
        threshold = drift.psi_threshold(np.array([factor]), counts.sum(axis=1, keepdims=True), np.array(profile.rows))
        shares[feature.name] = float((psi > threshold).mean())
    return shares


def test_thresholds_hold_for_hours_of_traffic_with_days_and_nights(tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", 1)
    by_clock = files.build([path], timestamp="at")
    by_rows = files.build([path], features=["cyclic", "steady"], window_rows=ROWS_AN_HOUR * 24)

    assert [f.name for f in by_clock.features] == ["cyclic", "steady"]
    assert effects(by_rows)["cyclic"] < 1.5  # a whole day has every hour in it
    assert alarms(by_rows, 2)["cyclic"] > 0.5
    assert alarms(by_clock, 2)["cyclic"] <= 0.002
    assert effects(by_clock)["steady"] < 1.3
    assert alarms(by_clock, 2)["steady"] <= 0.005


def test_days_and_hours_are_different_windows(tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", 1)
    hours = effects(files.build([path], timestamp="at"))
    days = effects(files.build([path], timestamp="at", window_seconds=86_400))

    assert hours["cyclic"] > 5
    assert days["cyclic"] < 2


def test_the_order_of_rows_and_the_unit_of_times_do_not_matter(tmp_path: Path) -> None:
    one = files.build([written(tmp_path / "x.parquet", 1)], timestamp="at")
    other = files.build(
        [written(tmp_path / "y.parquet", 1, shuffled=True, unit=1000)], timestamp="at", sample_rows=5000
    )
    whole = files.build([written(tmp_path / "z.parquet", 1, shuffled=True)], timestamp="at")

    assert effects(whole) == effects(one)
    assert whole.window_rows == one.window_rows == pytest.approx(ROWS_AN_HOUR, rel=0.05)
    assert effects(other)["cyclic"] == pytest.approx(effects(one)["cyclic"], rel=0.05)


def test_times_may_be_texts(tmp_path: Path) -> None:
    times, cyclic, _ = traffic(1)
    texts = pd.to_datetime((times + 1.6e9).astype(np.int64), unit="s").strftime("%Y-%m-%dT%H:%M:%SZ")
    pd.DataFrame({"at": texts, "cyclic": cyclic}).to_csv(tmp_path / "x.csv", index=False)
    one = files.build([written(tmp_path / "x.parquet", 1)], timestamp="at")

    assert effects(files.build([tmp_path / "x.csv"], timestamp="at"))["cyclic"] == effects(one)["cyclic"]


def test_too_few_windows_are_told_and_leave_the_design_effect_at_one(tmp_path: Path) -> None:
    notices: list[str] = []
    path = written(tmp_path / "x.parquet", 1)
    profile = files.build([path], timestamp="at", window_seconds=7 * 86_400, notice=notices.append)

    assert set(effects(profile).values()) == {1.0}
    assert [n for n in notices if "too few for a design effect" in n]


@pytest.mark.parametrize("seconds", [0.0, -5.0, 1e-300, float("nan"), float("inf")])
def test_a_window_of_no_length_or_without_end_is_refused(tmp_path: Path, seconds: float) -> None:
    path = written(tmp_path / "x.parquet", 1)
    with pytest.raises(ProfileError, match=r"window_seconds is .*, not a finite number"):
        files.build([path], timestamp="at", window_seconds=seconds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timestamp": "when"}, "no column named 'when'; there are: at, cyclic, steady"),
        ({"timestamp": "at", "features": ["at"]}, "column 'at' is the time, so that it cannot be a feature"),
    ],
)
def test_a_time_that_is_none_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError) as error:
        files.build([written(tmp_path / "x.parquet", 1)], **options)

    assert str(error.value) == message
