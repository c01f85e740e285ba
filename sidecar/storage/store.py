"""Store: keep the state of the monitor in files, and continue in memory when that fails."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.config import Config
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import StorageState
from sidecar.reference.profile import Profile
from sidecar.storage import checkpoint
from sidecar.storage.checkpoint import Checkpoint
from sidecar.storage.clock import Clock
from sidecar.storage.directory import Directory, StorageError, log
from sidecar.storage.journal import Segment
from sidecar.storage.recorder import Recorder
from sidecar.storage.recovery import Recovered, recover, set_aside

SILENCE_SECONDS = 60.0
"""Time between two log lines about a persistent failure."""

_STORE_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often things are written.

    A checkpoint follows once the journal since the last one has more than `segment_bytes`, and more than
    `checkpoint_sizes` times the size of that one.
    """

    segment_bytes: int = 8 * 2**20
    checkpoint_sizes: int = 4
    regular_seconds: float = 600.0
    retry_seconds: float = 5.0


class Store:
    """Keep the state of a monitor in a directory: a journal of what changes it, and a checkpoint now and then.

    While nothing can be written, the monitor goes on in memory. The journal then has a gap, so that its files are
    removed where possible and nothing is appended until a new checkpoint is there.
    """

    def __init__(self, path: Path, clock: Clock, state: StorageState, pace: Pace | None = None) -> None:
        self._directory = Directory(path)
        self._clock = clock
        self._state = state
        self._pace = pace or Pace()
        self._id = os.urandom(_STORE_BYTES)
        self._number = 0
        self._recorder = Recorder(clock, failed=self._record_failed, grown=self._segment_grown)
        self._behind = True
        self._read = False
        self._full_at = self._pace.segment_bytes
        self._due = False
        self._writing: asyncio.Task[None] | None = None
        self._damaged: list[Path] = []
        self._silent_until = float("-inf")
        self._closed = False
        self._monitor: Monitor

    def begin(self, config: Config, profiles: Mapping[str, Profile | None]) -> Monitor:
        """Return a monitor resumed from the files, with this configuration, and keep its state from now on.

        Raises StorageError where the directory is not for this process; whatever else fails is told in the state.
        """
        recovered = None
        try:
            self._directory.acquire()
            recovered = recover(self._directory, self._state)
            self._number = max(self._directory.segments(), default=0)
            self._read = True
        except StorageError:
            raise
        except OSError as error:
            self._trouble(error)
        if recovered is None:
            self._monitor = Monitor(config, profiles, now=self._clock(), start=self._clock.time_of_day())
        else:
            self._monitor = recovered.monitor
            self._resume(recovered, config, profiles)
        self._monitor.journal = self._recorder
        if self._read:
            self.checkpoint_now()
        return self._monitor

    def _resume(self, recovered: Recovered, config: Config, profiles: Mapping[str, Profile | None]) -> None:
        """Resume the clock, the journal and the configuration."""
        monitor = self._monitor
        self._id, self._damaged = recovered.store, recovered.damaged
        self._clock.go_on(recovered.moment, at_least=recovered.now)
        now = self._clock()
        try:
            self._recorder.replace(self._next_segment())
            self._behind = False
        except OSError as error:
            self._fall_behind()
            self._trouble(error)
        monitor.journal = self._recorder
        monitor.flush(now=recovered.now)  # what waited came before the end, not now
        monitor.set_time_of_day(self._clock.time_of_day(), now=now)
        for discarded in monitor.reconfigure(config, profiles, now=now):
            log.warning("counts discarded: the configuration is not the one of before", **discarded._asdict())
            self._state.resets[discarded.part] += 1
        events = sum(model.traffic.events for model in monitor.models.values())
        log.info("restored", path=self._directory.path, events=events, records=recovered.records)

    async def close(self) -> None:
        """Write everything for the last time, and let another process have the directory."""
        self._closed = True
        if self._writing is not None:
            await self._writing
        self.checkpoint_now()
        self._recorder.replace(None)
        self._directory.release()

    def _record_failed(self, error: OSError) -> None:
        self._fall_behind()
        self._trouble(error)

    def _segment_grown(self, size: int) -> None:
        if size > self._full_at and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.checkpoint)

    async def run(self) -> None:
        """Try again what failed, and write a checkpoint now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._pace.retry_seconds)
            last = self._state.checkpoint_timestamp_seconds
            old = last is None or not 0 <= time.time() - last < self._pace.regular_seconds
            if old or self._state.problem is not None:
                self.checkpoint()

    def checkpoint(self) -> None:
        """Write everything in a thread, unless that is being done."""
        if not self._closed and (self._writing is None or self._writing.done()):
            taken = self._take()
            if taken is not None:
                self._writing = asyncio.create_task(self._write(*taken))

    async def _write(self, snapshot: Checkpoint, segment: Segment) -> None:
        try:
            size = await asyncio.to_thread(checkpoint.write, snapshot, self._directory.state)
        except OSError as error:
            self._failed(segment, error)
        else:
            self._written(segment, size)

    def checkpoint_now(self) -> None:
        """Write everything before going on."""
        taken = self._take()
        if taken is None:
            return
        snapshot, segment = taken
        try:
            size = checkpoint.write(snapshot, self._directory.state)
        except OSError as error:
            self._failed(segment, error)
        else:
            self._written(segment, size)

    def _take(self) -> tuple[Checkpoint, Segment] | None:
        """Return a copy of everything, and the segment that what comes after it is appended to from now on."""
        self._monitor.flush(now=self._clock())
        try:
            if not self._read:
                self._take_over()
            segment = self._next_segment()
        except OSError as error:
            self._trouble(error)
            return None
        moment = self._clock.moment()
        snapshot = Checkpoint(
            store=self._id, segment=segment.number, moment=moment, monitor=self._monitor.state(now=moment.clock)
        )
        self._recorder.replace(segment)
        self._due = True  # until it is written
        return snapshot, segment

    def _take_over(self) -> None:
        """Have the directory, of which nothing could be read at the start; what is there is not ours to resume."""
        if not self._directory.acquired:
            self._directory.acquire()
        set_aside(self._directory, self._state, "unreadable", "it could not be resumed at the start")
        self._read = True

    def _next_segment(self) -> Segment:
        number = self._number + 1
        segment = Segment(self._directory.segment(number), store=self._id, number=number)
        self._number = number
        return segment

    def _written(self, segment: Segment, size: int) -> None:
        """Remove what the checkpoint has made unneeded; what is written from `segment` on is complete."""
        if segment is not self._recorder.segment:
            return  # a record could not be appended meanwhile
        self._behind = False
        self._due = False
        self._full_at = max(self._pace.segment_bytes, self._pace.checkpoint_sizes * size)
        self._state.checkpoint_timestamp_seconds = time.time()
        self._state.checkpoint_bytes = size
        try:
            damaged, self._damaged = self._damaged, []
            self._directory.set_aside(damaged)
            self._directory.remove_segments(before=segment.number)
        except OSError as error:
            self._trouble(error)
            return
        if self._state.problem is not None:
            log.info("what is counted survives a crash again", path=self._directory.path)
            self._state.problem = None
            self._silent_until = float("-inf")

    def _failed(self, segment: Segment, error: OSError) -> None:
        """Go on with the older checkpoint and all segments since, if they are complete."""
        if self._behind and segment is self._recorder.segment:
            self._fall_behind()
        self._trouble(error)

    def _fall_behind(self) -> None:
        """Give up the files, which lack something, and remove them, so that they are not taken for complete later.

        That may make the room that a checkpoint takes.
        """
        self._behind = True
        self._recorder.replace(None)
        try:
            self._directory.remove_segments()
            self._directory.state.unlink(missing_ok=True)
        except OSError as error:
            log.error("files that lack events cannot be removed", path=self._directory.path, error=_reason(error))

    def _trouble(self, error: OSError) -> None:
        self._state.failures += 1
        self._state.problem = f"{self._directory.path}: {_reason(error)}"
        now = self._clock()
        if now >= self._silent_until:
            log.error("cannot keep what is counted", path=self._directory.path, error=_reason(error))
            self._silent_until = now + SILENCE_SECONDS


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
