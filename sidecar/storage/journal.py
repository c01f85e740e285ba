"""Segments of the journal: files of records that are only appended to.

A record is a header with a checksum of its own (length and checksum of what follows, kind, form, length of the name,
time), a name and a body. One that ends with the file was being written when the process was killed.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sidecar.events import forms
from sidecar.events.forms import Form

_MAGIC = b"msidecar.journal"
_VERSION = 1
_SEGMENT = struct.Struct("<16sI16sQ")  # magic, version, store, number
_HEADER = struct.Struct("<IIBBBxd")  # length, checksum, kind, form, length of the name, now
_CHECKSUM = struct.Struct("<I")
_SEGMENT_BYTES = _SEGMENT.size + _CHECKSUM.size
_HEADER_BYTES = _HEADER.size + _CHECKSUM.size


class Kind(IntEnum):
    """What a record is of."""

    BODY = 1
    TEXTS = 2
    REJECTED = 3
    DROPPED = 4
    FLUSHED = 5
    RECONFIGURED = 6
    LABELS = 7
    LABELS_REJECTED = 8
    TIME_OF_DAY = 9


class Record(NamedTuple):
    """One change of the state: `name` is that of the transport, where there is one."""

    kind: Kind
    name: str
    body: bytes
    now: float
    form: Form = forms.JSON


class DamagedSegment(Exception):
    """What follows in a segment cannot be read; the message says where and why."""


class CutShort(DamagedSegment):
    """A segment ends within a record: right for the last one, which was being written when the process was killed.

    `end` is where the last whole record ends, 0 where there is not even the header of the segment.
    """

    def __init__(self, message: str, *, end: int) -> None:
        super().__init__(message)
        self.end = end


class Segment:
    """A segment that is being written."""

    def __init__(self, path: Path, *, store: bytes, number: int) -> None:
        """Begin the file; raises OSError."""
        self.number = number
        self.size = 0
        self._names: dict[str, tuple[bytes, int]] = {}
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        head = _SEGMENT.pack(_MAGIC, _VERSION, store, number)
        try:
            self._write(head + _CHECKSUM.pack(zlib.crc32(head)))
        except OSError:
            self.close()
            path.unlink(missing_ok=True)
            raise

    def append(self, kind: Kind, name: str, body: bytes, *, now: float, form: Form = forms.JSON) -> None:
        """Append a record, in one write; raises OSError where it is not there as a whole."""
        named = self._names.get(name)
        if named is None:
            encoded = name.encode()
            named = self._names[name] = (encoded, zlib.crc32(encoded))
        encoded, checksum = named
        checksum = zlib.crc32(body, checksum)
        length = len(encoded) + len(body)
        head = _HEADER.pack(length, checksum, kind, form.number, len(encoded), now)
        self._write(head + _CHECKSUM.pack(zlib.crc32(head)) + encoded, body)

    def _write(self, *parts: bytes) -> None:
        wanted = sum(map(len, parts))
        written = os.writev(self._file, parts)
        self.size += written
        if written != wanted:
            raise OSError(f"only {written} of {wanted} bytes could be written")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def records(path: Path, *, store: bytes, number: int) -> Iterator[Record]:
    """Yield the records of a segment; raises CutShort, DamagedSegment or OSError at the first unreadable one."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < _SEGMENT_BYTES:
            raise CutShort("it ends within its header", end=0)
        head, checksum = _head(file, _SEGMENT)
        if zlib.crc32(head) != checksum or _SEGMENT.unpack(head) != (_MAGIC, _VERSION, store, number):
            raise DamagedSegment("it is not a segment of this journal")
        while (start := file.tell()) < size:
            if start + _HEADER_BYTES > size:
                raise CutShort(f"it ends within the header of the record at byte {start}", end=start)
            head, checksum = _head(file, _HEADER)
            if zlib.crc32(head) != checksum:
                raise DamagedSegment(f"the header of the record at byte {start} is damaged")
            length, checksum, kind, form, name_length, now = _HEADER.unpack(head)
            if file.tell() + length > size:
                raise CutShort(f"it ends within the record at byte {start}", end=start)
            content = file.read(length)
            if zlib.crc32(content) != checksum:
                raise DamagedSegment(f"the record at byte {start} is damaged")
            try:
                name = content[:name_length].decode()
                record = Record(Kind(kind), name, content[name_length:], now, forms.of_number(form))
            except ValueError as error:
                raise DamagedSegment(f"the record at byte {start} is of another version: {error}") from error
            yield record


def _head(file: BinaryIO, layout: struct.Struct) -> tuple[bytes, int]:
    data = file.read(layout.size + _CHECKSUM.size)
    return data[: layout.size], _CHECKSUM.unpack(data[layout.size :])[0]
