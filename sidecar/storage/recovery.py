"""Recovery: a checkpoint and the journal after it, back to the monitor that wrote them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import msgspec

from sidecar.base.configfile import convert_special, plain_special
from sidecar.config import Config
from sidecar.events.refusals import BodyRefused
from sidecar.exposition.catalogue import BodyReason, DropReason, EventReason, LabelReason
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import StorageState
from sidecar.reference.profile import Profile, ProfileError, check
from sidecar.statistics.buffers import StateError
from sidecar.storage import checkpoint, journal
from sidecar.storage.checkpoint import Checkpoint, CheckpointError
from sidecar.storage.clock import Moment
from sidecar.storage.directory import Directory, log
from sidecar.storage.journal import CutShort, DamagedSegment, Kind, Record


class Configuration(msgspec.Struct, frozen=True):
    """What a monitor was reconfigured with, in the journal."""

    config: Config
    profiles: dict[str, Profile | None]


_ENCODER = msgspec.msgpack.Encoder(enc_hook=plain_special)
_DECODER = msgspec.msgpack.Decoder(Configuration, dec_hook=convert_special)
_REJECTED = msgspec.msgpack.Decoder(tuple[BodyReason | EventReason, int])
_LABELS_REJECTED = msgspec.msgpack.Decoder(tuple[BodyReason | LabelReason, int])
_DROPPED = msgspec.msgpack.Decoder(tuple[DropReason, int])
_TIME_OF_DAY = msgspec.msgpack.Decoder(datetime)


def encode_configuration(config: Config, profiles: Mapping[str, Profile | None]) -> bytes:
    """Return the body of a record of a change of the configuration."""
    return _ENCODER.encode(Configuration(config, dict(profiles)))


def encode_count(reason: str, count: int) -> bytes:
    """Return the body of a record of events that were refused or lost."""
    return _ENCODER.encode((reason, count))


def encode_time_of_day(time_of_day: datetime) -> bytes:
    """Return the body of a record of a change of the time of day."""
    return _ENCODER.encode(time_of_day)


@dataclass(slots=True)
class Recovered:
    """A monitor as it was when it last kept something, at `now` of the clock whose saved moment is `moment`."""

    monitor: Monitor
    store: bytes
    moment: Moment
    now: float
    records: int = 0
    damaged: list[Path] = field(default_factory=list)


def recover(directory: Directory, state: StorageState) -> Recovered | None:
    """Return what the files say, or None where they say nothing; files that cannot be used are set aside and counted.

    Raises OSError.
    """
    numbers = directory.segments()
    try:
        data = directory.state.read_bytes()
    except FileNotFoundError:
        if numbers:
            set_aside(directory, state, "incomplete", "there are segments of a journal without a state file")
        return None
    except OSError as error:
        set_aside(directory, state, "unreadable", f"the state file cannot be read: {error.strerror or error}")
        return None
    try:
        saved = checkpoint.decode(data)
        recovered = _restore(saved)
    except CheckpointError as error:
        set_aside(directory, state, error.reason, f"the state file cannot be used: {error}")
        return None
    if saved.segment not in numbers:
        # They are removed as soon as one record could not be written.
        set_aside(directory, state, "incomplete", "the journal could not be written to its end")
        return None
    numbers = numbers[numbers.index(saved.segment) :]
    for number in numbers:
        _replay_segment(directory, saved.store, number, recovered, state, last=number == numbers[-1])
    for before, after in pairwise(numbers):
        if after != before + 1:
            log.error("a segment of the journal is missing: its events are lost", after=before, before=after)
            state.set_aside["damaged"] += 1
    return recovered


def _restore(saved: Checkpoint) -> Recovered:
    try:
        for model in saved.monitor.models.values():
            if model.profile is not None:
                check(model.profile)
        monitor = Monitor.restored(saved.monitor, now=saved.moment.clock)
    except (StateError, ProfileError) as error:
        raise CheckpointError("format", str(error)) from error
    except Exception as error:  # a foreign file may fail in any way; the sidecar starts all the same
        raise CheckpointError("format", f"{type(error).__name__}: {error}") from error
    return Recovered(monitor, saved.store, saved.moment, saved.moment.clock)


def _replay_segment(
    directory: Directory, store: bytes, number: int, recovered: Recovered, state: StorageState, *, last: bool
) -> None:
    path, before = directory.segment(number), recovered.records
    try:
        for record in journal.records(path, store=store, number=number):
            recovered.now = max(recovered.now, record.now)
            _replay(recovered.monitor, record)
            recovered.records += 1
        return
    except CutShort as error:
        if last:  # killed while it was being written, before it was acknowledged
            _cut(path, error.end)
            return
        problem: object = error
    except DamagedSegment as error:
        problem = error
    except OSError as error:
        problem = error.strerror or error
    except Exception as error:  # noqa: BLE001  (a bug must not keep the sidecar from starting, over and over)
        problem = f"{type(error).__name__}: {error}"
    log.error(
        "the rest of a segment of the journal cannot be used: its events are lost",
        path=path,
        used_records=recovered.records - before,
        error=problem,
    )
    state.set_aside["damaged"] += 1
    recovered.damaged.append(path)


def _cut(path: Path, end: int) -> None:
    """End a segment with its last whole record, so that another one can follow."""
    if end:
        os.truncate(path, end)
    else:
        path.unlink()


def _replay(monitor: Monitor, record: Record) -> None:
    transport = record.name
    if transport and transport not in monitor.events:
        monitor.open_transport(transport)
    match record.kind:
        case Kind.BODY:
            with _counted_as_refused():
                monitor.submit(record.body, record.form, transport=transport, now=record.now)
        case Kind.TEXTS:
            monitor.submit_texts(record.body.split(b"\n"), transport=transport, now=record.now)
        case Kind.REJECTED:
            monitor.reject(transport, *_REJECTED.decode(record.body))
        case Kind.LABELS:
            with _counted_as_refused():
                monitor.submit_labels(record.body, record.form, transport=transport, now=record.now)
        case Kind.LABELS_REJECTED:
            monitor.reject_labels(transport, *_LABELS_REJECTED.decode(record.body))
        case Kind.DROPPED:
            monitor.drop(transport, *_DROPPED.decode(record.body))
        case Kind.FLUSHED:
            monitor.flush(now=record.now)
        case Kind.RECONFIGURED:
            new = _DECODER.decode(record.body)
            monitor.reconfigure(new.config, new.profiles, now=record.now)
        case Kind.TIME_OF_DAY:
            monitor.set_time_of_day(_TIME_OF_DAY.decode(record.body), now=record.now)


@contextmanager
def _counted_as_refused() -> Iterator[None]:
    """Go on after a body that was taken once and is not now, as without the extra `arrow`; the monitor counts it."""
    try:
        yield
    except BodyRefused as error:
        log.error("a body of the journal is not taken any more: what it holds is lost", error=error)


def set_aside(directory: Directory, state: StorageState, reason: str, why: str) -> None:
    """Rename the state file and all segments, count it and say why; raises OSError."""
    if not directory.state.exists() and not directory.segments():
        return
    log.error("setting aside what was kept, and counting from zero", path=directory.path, reason=reason, error=why)
    directory.set_aside([directory.state, *map(directory.segment, directory.segments())])
    state.set_aside[reason] += 1
