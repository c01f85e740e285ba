import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.statistics.season import CYCLES, Season, SeasonError, zone
from tests.paths import ROOT

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe")
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def test_a_day_has_24_slots_and_a_week_168() -> None:
    day, week = Season(cycle="hour-of-day"), Season(cycle="hour-of-week")
    assert (day.slots, day.seconds) == (24, 86_400)
    assert (week.slots, week.seconds) == (168, 604_800)


def test_slots_follow_one_another_from_monday_on() -> None:
    moments = [MONDAY + timedelta(hours=hour, minutes=59) for hour in range(168)]
    assert [Season(cycle="hour-of-week").slot(moment) for moment in moments] == list(range(168))
    assert [Season(cycle="hour-of-day").slot(moment) for moment in moments] == list(range(24)) * 7


def test_nine_in_the_morning_stays_nine_when_clocks_are_put_forward() -> None:
    season = Season(cycle="hour-of-day", time_zone="Europe/Berlin")
    assert season.slot(datetime(2026, 3, 28, 8, tzinfo=UTC)) == 9
    assert season.slot(datetime(2026, 3, 29, 7, tzinfo=UTC)) == 9


@given(
    st.sampled_from(CYCLES),
    st.sampled_from(ZONES),
    st.lists(st.floats(min_value=100_000_000, max_value=4_000_000_000), min_size=1, max_size=50),
)
def test_many_times_have_the_slots_that_each_has(cycle: str, time_zone: str, times: list[float]) -> None:
    season = Season(cycle=cycle, time_zone=time_zone)  # type: ignore[arg-type]
    one_by_one = [season.slot(datetime.fromtimestamp(int(time), UTC)) for time in times]
    assert season.slots_of(np.array(times)).tolist() == one_by_one


def test_what_has_no_time_is_in_no_slot() -> None:
    times = np.array([np.nan, MONDAY.timestamp(), np.inf])
    assert Season(cycle="hour-of-week").slots_of(times).tolist() == [-1, 0, -1]
    years = np.array([-9e10, -6.2e10, 2.5e11, 2.6e11])
    for time_zone in ZONES:
        found = Season(cycle="hour-of-day", time_zone=time_zone).slots_of(years)
        assert (found >= 0).tolist() == [False, True, True, False]
    assert Season(cycle="hour-of-week").slots_of(np.array([])).tolist() == []


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "/etc/passwd", "../../etc/passwd", "\0", "America"])
def test_a_time_zone_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(SeasonError, match="no time zone"):
        zone(name)


@pytest.mark.parametrize("name", ["localtime", "posixrules", "Factory", "right/Europe/Berlin", "posix/Europe/Berlin"])
def test_what_hosts_have_beside_the_zones_is_refused(name: str) -> None:
    with pytest.raises(SeasonError, match="is not the same on every host"):
        zone(name)


def test_without_any_zones_it_is_told_that_tzdata_is_missing(tmp_path: Path) -> None:
    (tmp_path / "tzdata.py").write_text("raise ImportError\n")
    code = "from sidecar.statistics.season import zone\nzone('Europe/Berlin')"
    environment = {**os.environ, "PYTHONTZPATH": "", "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    refused = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        "sidecar.statistics.season.SeasonError: no time zone 'Europe/Berlin' is known here: "
        "it is no name such as Europe/Berlin, or tzdata is missing or too old"
    )


@pytest.mark.parametrize("name", ["Europe/Berlin", "US/Eastern", "Asia/Calcutta"])
def test_zones_are_known_on_hosts_that_have_none_installed(name: str) -> None:
    code = "import zoneinfo\nfrom sidecar.statistics.season import zone\nassert not zoneinfo.TZPATH\n"
    code += f"print(zone({name!r}))"
    environment = {**os.environ, "PYTHONTZPATH": ""}
    known = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert known.stdout.strip() == name
