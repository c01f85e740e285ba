"""Profiles by season of parts of the data give the one of all of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from sidecar.cli import main
from sidecar.reference import Profile, ProfileError, files, load, save
from sidecar.reference.counting.counts import FeatureSpec, Wanted
from sidecar.reference.counting.rows import Counting
from sidecar.reference.merge import merge
from sidecar.reference.profile import season_bytes, season_counts
from sidecar.statistics.bins import NumericBins, quantile_edges
from sidecar.statistics.season import Season
from tests.reference.test_season_build import DAY, HOURS, MONDAY, WEEK, effects, traffic

WEEKS = 8


def profiles(columns: dict[str, NDArray[Any]], times: NDArray[Any], weeks: Sequence[int]) -> list[Profile]:
    """Return a profile of all rows, and then one of every so many weeks of them for each of `weeks`."""
    specs = [FeatureSpec(Wanted(n, n, "input"), NumericBins(quantile_edges(c, 10))) for n, c in columns.items()]
    week = ((times - MONDAY) // (3600 * HOURS)).astype(int)
    found = []
    for length in (WEEKS, *weeks):
        parts = []
        for i in range(WEEKS // length):
            mask = week // length == i
            counting = Counting(specs, window_rows=1, window_seconds=3600, season=WEEK)
            counting.add({n: c[mask] for n, c in columns.items()}, times[mask])
            parts.append(counting.profile(model="", model_version="", source=""))
        found.append(parts[0] if len(parts) == 1 else merge(parts))
    return found


def test_parts_add_up_to_the_rows_of_every_hour() -> None:
    times, columns = traffic(WEEKS, 1)
    whole, *merged = profiles(columns, times, (1, 4))
    for profile in merged:
        assert profile.fingerprint == whole.fingerprint
        assert (profile.season, profile.season_rows, profile.rows) == (WEEK, whole.season_rows, whole.rows)
        for found, expected in zip(profile.features, whole.features, strict=True):
            assert (season_counts(found, WEEK) == season_counts(expected, WEEK)).all()


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_design_effect_of_parts_is_that_of_all_rows(shift: float) -> None:
    times, columns = traffic(WEEKS, 1)
    columns = {n: c + np.where(times < MONDAY + 4 * HOURS * 3600, 0, shift) for n, c in columns.items()}
    whole, weeks, two, four = (effects(p) for p in profiles(columns, times, (1, 2, 4)))
    for name, expected in whole.items():
        # Of an hour that a part has once, the part itself knows no effect; all of them together do.
        assert weeks[name] == pytest.approx(expected, rel=0.02)
        for parts in (two, four):
            assert 0.69 * expected < parts[name] < 1.25 * expected, name


def test_parts_too_small_to_tell_keep_the_effects_they_have() -> None:
    times, columns = np.arange(0, 24 * 3600, 240.0), {"a": np.zeros(360)}
    counting = Counting([FeatureSpec(Wanted("a", "a", "input"), NumericBins([1.0]))], 1, 3600, DAY)
    counting.add(columns, times)
    part = counting.profile(model="", model_version="", source="")
    one, three = (
        replace(part, window_rows=10, features=tuple(replace(f, design_effect=effect) for f in part.features))
        for effect in (1.0, 3.0)
    )
    assert part.season_rows == (15,) * 24
    assert effects(merge([one, three])) == {"a": 2.0}
    assert effects(merge([part, three])) == {"a": 3.0}  # a part without blocks knows no effect
    assert effects(merge([part, part])) == {"a": 1.0}


def test_parts_of_different_seasons_are_refused_with_the_reason(tmp_path: Path) -> None:
    times = pd.date_range("2026-01-05", periods=14 * 24, freq="h")
    pd.DataFrame({"at": times, "x": range(times.size)}).to_csv(tmp_path / "x.csv", index=False)
    berlin = Season(cycle="hour-of-week", time_zone="Europe/Berlin")
    none, day, week, zoned = (
        files.build([tmp_path / "x.csv"], timestamp="at", season=season) for season in (None, DAY, WEEK, berlin)
    )
    for a, b, message in (
        (none, week, "B is by hour-of-week (UTC) and A without a season: build every part with the same --season"),
        (day, none, "B is without a season and A by hour-of-day (UTC): build every part with the same --season"),
        (week, zoned, "B is by hour-of-week (Europe/Berlin) and A by hour-of-week (UTC): build every part"),
    ):
        with pytest.raises(ProfileError) as refused:
            merge([a, b], names=["A", "B"])
        assert str(refused.value).startswith(message)


def test_more_rows_than_the_file_can_hold_are_refused() -> None:
    counting = Counting([FeatureSpec(Wanted("a", "a", "input"), NumericBins([0.0]))], 1, 3600, DAY)
    counting.add({"a": np.array([1.0])}, np.array([0.0]))
    part = counting.profile(model="", model_version="", source="")
    rows = 2**31
    [feature] = part.features
    by_slot = season_counts(feature, DAY).astype(np.int64) * rows
    feature = replace(feature, counts=(0, rows), season_counts=season_bytes(by_slot))
    large = replace(part, rows=rows, season_rows=(rows, *part.season_rows[1:]), features=(feature,))
    with pytest.raises(ProfileError, match="a bin has 4294967296 rows in one hour of the season"):
        merge([large, large])


def test_two_machines_with_a_week_or_more_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: object) -> str:
        assert main(["reference", *map(str, arguments)]) == 0
        return capsys.readouterr().err

    times, columns = traffic(3, 1)
    frame = pd.DataFrame({"at": (times * 1000).astype(np.int64), **columns})
    first = times < MONDAY + HOURS * 3600
    frame[first].sample(frac=1, random_state=1).to_parquet(tmp_path / "0.parquet", index=False)
    frame[~first].to_parquet(tmp_path / "1.parquet", index=False)
    options = ["--timestamp", "at", "--season", "hour-of-week", "--season-time-zone", "America/New_York"]
    whole, merged = tmp_path / "whole.json", tmp_path / "merged.json"
    run("build", tmp_path / "0.parquet", tmp_path / "1.parquet", *options, "-o", whole)
    for i in (0, 1):
        counted = tmp_path / f"{i}.json"
        said = run("build", tmp_path / f"{i}.parquet", "--bins-from", whole, *options, "-o", counted)
        short = "the times in 'at' span 7.0 days, and a reference by hours of the week needs two weeks: merge it"
        assert (short in said) == (i == 0)
        assert load(counted).season == load(whole).season
    run("merge", tmp_path / "0.json", tmp_path / "1.json", "-o", merged)
    found, expected = load(merged), load(whole)
    assert found.fingerprint == expected.fingerprint
    for name, effect in effects(found).items():
        assert 0.69 * effects(expected)[name] < effect < 1.25 * effects(expected)[name]

    # Counting in the bins of a profile by season asks for no season.
    later = tmp_path / "later.json"
    run("build", tmp_path / "1.parquet", "--bins-from", whole, "-o", later)
    assert load(later).season is None


def test_bins_of_another_profile_go_with_times(tmp_path: Path) -> None:
    times, columns = traffic(2, 1)
    path = tmp_path / "x.parquet"
    pd.DataFrame({"at": (times * 1e6).astype(np.int64), **columns}).to_parquet(path)
    built = files.build([path], timestamp="at", season=DAY)
    counted = files.count([path], built, timestamp="at", season=DAY, source=built.source, created=built.created)
    assert counted == built
    plain = files.build([path], timestamp="at")
    assert effects(files.count([path], built, timestamp="at")) == effects(plain)
    for options, message in (
        ({"timestamp": "gone"}, "no column named 'gone'"),
        ({"timestamp": "steady"}, "column 'steady' is the time"),
        ({"season": DAY}, "a season needs the time of every row"),
    ):
        with pytest.raises(ProfileError, match=message):
            files.count([path], built, **options)


def test_a_merged_profile_is_a_file_like_any_other(tmp_path: Path) -> None:
    times, columns = traffic(WEEKS, 1)
    merged = profiles(columns, times, (4,))[1]
    save(merged, tmp_path / "x.json")
    assert load(tmp_path / "x.json") == merged
