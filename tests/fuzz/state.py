"""State files: what a crash, another version or another program may have left where the state on disk is looked for."""

import struct
import tempfile
import zlib
from functools import cache
from pathlib import Path

from sidecar.events import forms
from sidecar.monitor.monitor import Monitor
from sidecar.storage import recovery
from sidecar.storage.checkpoint import Checkpoint, CheckpointError, decode, write
from sidecar.storage.clock import Moment
from sidecar.storage.journal import DamagedSegment, records
from tests.fuzz.bodies import START, TRANSPORT, counted, setups
from tests.fuzz.mutate import mutated

_HEADER = struct.Struct("<16sIQI")
_MAGIC, _FORMAT = b"msidecar.state\n\0", 1
_SEGMENT, _RECORD = struct.Struct("<16sI16sQ"), struct.Struct("<IIBBBxd")
_MEMORY = Path("/dev/shm")
STORE = b"the-store-of-it!"
_LINES = b'{"features": {"amount": 1.5, "merchant": "visa"}, "model": "fraud", "latency_ms": 3}\n' * 3


def sealed(payload: bytes) -> bytes:
    """Return a state file whose checksums are right, whatever is in it."""
    head = _HEADER.pack(_MAGIC, _FORMAT, len(payload), zlib.crc32(payload))
    return _with_checksum(head) + payload


@cache
def real_states() -> tuple[bytes, ...]:
    """Return the states of monitors that compare, learn, and keep two models, as they are written."""
    states = []
    moment = Moment(clock=1.0, wall=1.0, boottime=1.0, boot_id="")
    for config, profiles in setups():
        monitor = Monitor(config, profiles, now=0.0, start=START)
        monitor.open_transport(TRANSPORT)
        monitor.submit(_LINES, forms.NDJSON, transport=TRANSPORT, now=1.0)
        monitor.flush(now=1.0)
        whole = Checkpoint(store=STORE, segment=1, moment=moment, monitor=monitor.state(now=1.0))
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            write(whole, Path(folder) / "state")
            states.append((Path(folder) / "state").read_bytes()[_HEADER.size + 4 :])
    return tuple(states)


def _changed(data: bytes) -> bytes:
    """Change a real state in up to four places, which the input chooses."""
    states = real_states()
    state = states[data[0] % len(states)] if data else states[0]
    for i in range(1, min(len(data), 33), 8):
        seed = int.from_bytes(data[i : i + 8], "little")
        state = mutated(state, seed=seed, most=2 * len(state)) or state
    return state


def fuzz_checkpoint(data: bytes) -> None:
    """Load a state file: the input, as it is and with checksums, and a real one with the changes that the input makes.

    From one that is taken all can be read.
    """
    for content in (data, sealed(data), sealed(_changed(data))):
        try:
            recovered = recovery._restore(decode(content))
        except CheckpointError:
            continue
        monitor, now = recovered.monitor, recovered.moment.clock
        monitor.open_transport(TRANSPORT)
        counted(monitor, now=now)


def sealed_segment(data: bytes) -> bytes:
    """Return a segment of one record whose checksums are right, whatever it says, and then what is left of the data."""
    head = _SEGMENT.pack(b"msidecar.journal", 1, STORE, 1)
    fields, content = data[:11].ljust(11, b"\0"), data[11:100]
    record = _RECORD.pack(len(content), zlib.crc32(content), *fields[:3], *struct.unpack("<d", fields[3:]))
    return _with_checksum(head) + _with_checksum(record) + content + data[100:]


def _with_checksum(head: bytes) -> bytes:
    return head + struct.pack("<I", zlib.crc32(head))


def fuzz_journal(data: bytes) -> None:
    """Read the records of a segment, as it is and with checksums that are right, up to what is damaged."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_MEMORY if _MEMORY.exists() else None) as folder:
        path = Path(folder) / "segment"
        for content in (data, sealed_segment(data)):
            path.write_bytes(content)
            try:
                list(records(path, store=STORE, number=1))
            except DamagedSegment:
                continue
