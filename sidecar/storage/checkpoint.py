"""The checkpoint: the whole state in one file, with a checksum, that is replaced in one step."""

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from sidecar.base.configfile import convert_special, plain_special
from sidecar.monitor.monitor import MonitorState
from sidecar.storage.clock import Moment

FORMAT = 1
"""To be raised when the state of an older version would be read as what it is not."""

_MAGIC = b"msidecar.state\n\0"
_HEADER = struct.Struct("<16sIQI")  # magic, format, length, checksum
_CHECKSUM = struct.Struct("<I")
_START = _HEADER.size + _CHECKSUM.size


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment; what came after it is in the segments of `store` from number `segment` on."""

    store: bytes
    segment: int
    moment: Moment
    monitor: MonitorState


class CheckpointError(Exception):
    """A file is no checkpoint that can be used; the message says why, `reason` is for metrics."""

    def __init__(self, reason: Literal["damaged", "foreign", "format"], message: str) -> None:
        super().__init__(message)
        self.reason = reason


_ENCODER = msgspec.msgpack.Encoder(enc_hook=plain_special)
_DECODER = msgspec.msgpack.Decoder(Checkpoint, dec_hook=convert_special)


def decode(data: bytes) -> Checkpoint:
    """Read a checkpoint; raises CheckpointError."""
    if data[: len(_MAGIC)] != _MAGIC:
        whole = len(data) >= len(_MAGIC)
        raise CheckpointError("foreign" if whole else "damaged", "it does not begin as a state file does")
    if len(data) < _START:
        raise CheckpointError("damaged", "it is cut short")
    head = data[: _HEADER.size]
    if zlib.crc32(head) != _CHECKSUM.unpack(data[_HEADER.size : _START])[0]:
        raise CheckpointError("damaged", "its header is damaged")
    _, version, length, checksum = _HEADER.unpack(head)
    if version != FORMAT:
        raise CheckpointError("format", f"it has format {version}, not {FORMAT}")
    payload = memoryview(data)[_START:]
    if len(payload) != length:
        raise CheckpointError("damaged", f"it has {len(payload)} bytes of state where there were {length}")
    if zlib.crc32(payload) != checksum:
        raise CheckpointError("damaged", "its checksum does not fit")
    try:
        return _DECODER.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError("format", f"it is of another version: {error}") from error


def write(checkpoint: Checkpoint, path: Path) -> int:
    """Write a checkpoint in place of the one that is there, and return its size.

    Raises OSError; then the old one is as it was.
    """
    payload = _ENCODER.encode(checkpoint)
    head = _HEADER.pack(_MAGIC, FORMAT, len(payload), zlib.crc32(payload))
    beside = path.with_name(f"{path.name}.new")
    try:
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write(file, head + _CHECKSUM.pack(zlib.crc32(head)))
            _write(file, payload)
            os.fdatasync(file)
        finally:
            os.close(file)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
    _sync_directory(path.parent)
    return _START + len(payload)


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_directory(path: Path) -> None:
    """Have the new name on disk before old segments go."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
