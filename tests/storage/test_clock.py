"""Time goes on over restarts, reboots, sleep and changes of the time of day."""

import errno
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.base.cooperative import at_once
from sidecar.storage import checkpoint
from sidecar.storage.clock import Clock, Moment, clock_at
from tests.storage.support import Kept, Time

SAVED = Moment(clock=500.0, wall=1_800_000_000.0, boottime=200.0, boot_id="one")

walls = st.floats(-4e9, 4e9)


@given(st.floats(0, 1e8), walls)
def test_in_the_same_boot_the_time_of_day_does_not_matter(passed: float, wall: float) -> None:
    assert clock_at(SAVED, wall=wall, boottime=200.0 + passed, boot_id="one") == 500.0 + (200.0 + passed - 200.0)


@given(walls, st.floats(0, 1e8), st.sampled_from(["two", ""]))
def test_in_another_boot_the_time_of_day_tells_and_time_never_goes_back(
    wall: float, boottime: float, boot_id: str
) -> None:
    now = clock_at(SAVED, wall=wall, boottime=boottime, boot_id=boot_id)
    assert now == 500.0 + max(0.0, wall - SAVED.wall)
    assert now >= SAVED.clock


def test_a_boot_that_is_not_known_is_another() -> None:
    unknown = Moment(clock=500.0, wall=100.0, boottime=200.0, boot_id="")
    assert clock_at(unknown, wall=107.0, boottime=900.0, boot_id="") == 507.0


def test_a_machine_that_counts_from_less_is_another_though_it_has_the_same_name() -> None:
    assert clock_at(SAVED, wall=SAVED.wall + 3, boottime=50.0, boot_id="one") == 503.0


def test_the_real_clock_does_not_go_back() -> None:
    clock = Clock()
    first = clock()
    moment = clock.moment()
    again = Clock()
    again.go_on(moment, at_least=0.0)
    assert first <= moment.clock <= again()
    again.go_on(moment, at_least=moment.clock + 1000)
    assert again() >= moment.clock + 1000


def _event(**changes: Any) -> bytes:
    return json.dumps({"model": "fraud", "features": {"amount": 1.0}} | changes).encode()


def _in_windows(kept: Kept) -> list[int]:
    kept.monitor.flush(now=kept.clock())
    return [reading.events for reading in kept.monitor.models["fraud"].traffic.readings([], now=kept.clock())]


def test_windows_hold_what_they_should_wherever_the_time_of_day_jumps(tmp_path: Path) -> None:
    """Windows of one and five minutes; an event every 10 s; the time of day jumps and a restart comes in between."""
    for name, jump in (("forth", 86400.0), ("back", -86400.0), ("none", 0.0)):
        time = Time()
        kept = Kept(tmp_path / name / "a", time)
        for i in range(12):
            kept.submit(_event())
            kept.monitor.flush(now=kept.clock())
            time.pass_(10)
            if i == 3:
                time.wall += jump
            if i == 6:
                kept = kept.killed(tmp_path / name / "b")
        assert _in_windows(kept) == [5, 12]  # one that is 60 s old is out


def test_windows_run_on_while_the_process_is_down(tmp_path: Path) -> None:
    time = Time()
    kept = Kept(tmp_path / "a", time)
    kept.submit(_event())
    time.pass_(120)
    assert _in_windows(kept.killed(tmp_path / "b")) == [0, 1]
    time.pass_(300)
    assert _in_windows(kept.killed(tmp_path / "c")) == [0, 0]


def test_after_a_reboot_windows_go_on_by_the_time_of_day(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time(boottime=1e6))
    kept.submit(_event())
    for i, (minutes, expected) in enumerate([(0.5, [1, 1]), (2, [0, 1]), (6, [0, 0])]):
        rebooted = Time(boottime=5.0, wall=kept.time.wall + minutes * 60, boot_id="boot-2")
        again = kept.killed(tmp_path / f"b{i}", time=rebooted)
        assert _in_windows(again) == expected
        assert again.monitor.models["fraud"].traffic.events == 1


def test_a_time_of_day_that_went_back_over_a_reboot_neither_loses_nor_doubles(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time(boottime=1e6))
    kept.time.pass_(30)
    kept.submit(_event())
    rebooted = Time(boottime=5.0, wall=kept.time.wall - 1e6, boot_id="boot-2")
    again = kept.killed(tmp_path / "b", time=rebooted)
    assert _in_windows(again) == [1, 1]
    rebooted.pass_(20)
    again.submit(_event())
    assert _in_windows(again) == [2, 2]
    rebooted.pass_(45)
    assert _in_windows(again) == [1, 2]
    rebooted.pass_(300)
    assert _in_windows(again) == [0, 0]
    assert again.monitor.models["fraud"].traffic.events == 2


def test_sleep_counts_as_time(tmp_path: Path) -> None:
    """A machine that sleeps counts on in CLOCK_BOOTTIME, which is what the clock reads."""
    time = Time()
    kept = Kept(tmp_path / "a", time)
    kept.submit(_event())
    kept.monitor.flush(now=kept.clock())
    time.pass_(3600)
    kept.submit(_event())
    assert _in_windows(kept) == [1, 1]


def _learned(kept: Kept) -> datetime:
    comparison = kept.monitor.models["churn"].comparison
    assert comparison is not None
    return comparison.profile.created


def _set(kept: Kept, seconds: float) -> timedelta:
    """Set the time of day of the machine, and see to it."""
    kept.time.wall += seconds
    return kept.monitor.set_time_of_day(kept.clock.time_of_day(), now=kept.clock())


def test_a_time_of_day_that_was_set_is_followed_and_what_was_learned_by_it_stays(tmp_path: Path) -> None:
    """An hour forth, a reference learned, an hour back: each by the clock of its moment, and once replayed too."""
    time = Time()
    kept = Kept(tmp_path / "a", time)
    assert _set(kept, 3600) == timedelta(hours=1)
    learned_at = kept.clock.time_of_day()
    kept.submit(json.dumps([{"model": "churn", "features": {"age": i}} for i in range(100)]).encode())
    kept.monitor.flush(now=kept.clock())
    assert _set(kept, -3600) == -timedelta(hours=1)
    time.pass_(10)
    for now in (kept, kept.killed(tmp_path / "b")):
        assert _learned(now) == learned_at
        assert now.monitor.wall(now.clock()) == now.clock.time_of_day()


def _compared_with(kept: Kept) -> tuple[list[float], list[float]]:
    """Return what was expected since the start, and the shares that the last five minutes are compared with."""
    comparison = kept.monitor.models["fraud"].comparison
    assert comparison is not None
    expected = at_once(comparison.expecting_observations())
    return expected.tolist(), comparison.read(now=kept.clock()).reference[1].tolist()


def test_events_count_in_the_hour_that_it_is_after_the_time_of_day_was_set(tmp_path: Path) -> None:
    """One at 8 o'clock, two that wait while the clock is set to 10; then a restart, and the same from the journal."""
    kept = Kept(tmp_path / "a", Time())
    assert kept.clock.time_of_day().hour == 8
    kept.submit(_event())
    kept.monitor.flush(now=kept.clock())
    kept.submit(_event())
    assert _set(kept, 7200) == timedelta(hours=2)
    kept.submit(_event())
    kept.monitor.flush(now=kept.clock())
    again = kept.killed(tmp_path / "b")
    comparison = kept.monitor.models["fraud"].comparison
    assert comparison is not None
    assert comparison.seasonal is not None
    expected = comparison.seasonal.shares[[8, 10, 10]].sum(axis=0)
    for each in (kept, again):
        ever, window = _compared_with(each)
        assert ever == pytest.approx(expected, rel=1e-12)
        assert window == pytest.approx(expected / 3, rel=1e-12)
    assert again.everything() == kept.everything()


def test_two_clocks_that_are_read_one_after_the_other_are_no_change_of_the_time_of_day(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    before = kept.monitor.wall(kept.clock())
    assert _set(kept, 0.9) == timedelta()
    assert kept.monitor.wall(kept.clock()) == before
    assert _set(kept, 0.9) == timedelta(seconds=1.8)  # small ones do not add up unseen


def test_a_time_of_day_that_was_set_while_the_process_was_down_is_kept_before_the_first_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second start cannot write a checkpoint, so that the third replays what both wrote."""
    time = Time()
    kept = Kept(tmp_path / "a", time)
    kept.submit(_event())
    time.wall += 3600

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", full)
        again = kept.killed(tmp_path / "b")
        learned_at = again.clock.time_of_day()
        again.submit(json.dumps([{"model": "churn", "features": {"age": i}} for i in range(100)]).encode())
        again.monitor.flush(now=again.clock())
        assert _learned(again) == learned_at
    third = again.killed(tmp_path / "c")
    assert _learned(third) == learned_at
    assert third.everything() == again.everything()
