"""A clock that never goes back, counts while the machine sleeps, and resumes after a restart."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One instant by several clocks, in seconds: ours, the time of day, and the time since a boot that has an id."""

    clock: float
    wall: float
    boottime: float
    boot_id: str


def clock_at(saved: Moment, *, wall: float, boottime: float, boot_id: str) -> float:
    """Return what our clock says now, when it said `saved.clock` then.

    In the same boot that is exact, whatever was done to the time of day. In another one the time of day is all there
    is; where it went back, no time has passed.
    """
    if boot_id and boot_id == saved.boot_id and boottime >= saved.boottime:
        return saved.clock + (boottime - saved.boottime)
    return saved.clock + max(0.0, wall - saved.wall)


class Clock:
    """Tell the time in seconds; begins as the time since boot."""

    def __init__(
        self,
        *,
        boottime: Callable[[], float] = lambda: time.clock_gettime(_BOOTTIME),
        wall: Callable[[], float] = time.time,
        boot_id: str | None = None,
    ) -> None:
        self._boottime = boottime
        self._wall = wall
        self._boot_id = _read_boot_id() if boot_id is None else boot_id
        self._offset = 0.0

    def __call__(self) -> float:
        """Return what it says now."""
        return self._boottime() + self._offset

    def time_of_day(self) -> datetime:
        """Return what people's clocks say now, which may be set to anything at any time."""
        return datetime.fromtimestamp(self._wall(), UTC)

    def moment(self) -> Moment:
        """Return the state that a later clock resumes from."""
        boottime = self._boottime()
        return Moment(clock=boottime + self._offset, wall=self._wall(), boottime=boottime, boot_id=self._boot_id)

    def go_on(self, saved: Moment, *, at_least: float) -> None:
        """Go on from a saved moment, after which it is known to have said `at_least`."""
        boottime = self._boottime()
        now = clock_at(saved, wall=self._wall(), boottime=boottime, boot_id=self._boot_id)
        self._offset = max(now, at_least) - boottime


def _read_boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="utf-8").strip()
    except OSError:
        return ""  # not Linux: every start is taken for another boot
