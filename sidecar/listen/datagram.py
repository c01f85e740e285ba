"""Prediction events over a Unix datagram socket: one event, or one NDJSON or columnar batch, a datagram.

A datagram of labels is an object that begins with the key `labels`.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path

from sidecar.event import Form, TooManyEvents, Unreadable
from sidecar.listen import unix
from sidecar.listen.refusals import RefusalLog
from sidecar.monitor import Monitor

TRANSPORT = "unix_datagram"

DATAGRAM_BYTES = 256 * 1024
"""Longest datagram taken; longer ones arrive cut off, and are refused as too large."""

_DRAINED_AT_ONCE = 256
_WHOLE_JSON = re.compile(rb'\s*(?:\[|\{\s*"columns"|\{\s*"model"\s*:\s*"[^"\\]*"\s*,\s*"columns")')
_LABELS = re.compile(rb'\s*\{\s*"labels"')
_MSGPACK_MAPS = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))


class DatagramListener:
    """Drain a socket in bulk: the events of all datagrams that wait are decoded in one call."""

    def __init__(self, monitor: Monitor, clock: Callable[[], float], path: Path, *, group: str | None) -> None:
        """Bind the socket; raises SocketFileError."""
        self._monitor = monitor
        self._clock = clock
        self._path = path
        self._socket = unix.bind(path, socket.SOCK_DGRAM, group=group)
        self._inode = path.lstat().st_ino
        self._buffer = memoryview(bytearray(DATAGRAM_BYTES + 1))
        self._refusals = RefusalLog(TRANSPORT, clock)
        monitor.open_transport(TRANSPORT)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to take datagrams."""
        loop.add_reader(self._socket, self._drain)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Remove the socket file, so that no more can come, and take what still waits."""
        loop.remove_reader(self._socket)
        unix.remove(self._path, self._inode)
        while self._drain():
            pass
        self._socket.close()

    def _drain(self) -> int:
        """Take the datagrams that wait, up to a bound that leaves room for others, and return their number."""
        texts: list[bytes] = []
        taken = 0
        while taken < _DRAINED_AT_ONCE:
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                break
            taken += 1
            if size > DATAGRAM_BYTES:
                self._refuse("too_large", f"the datagram is longer than {DATAGRAM_BYTES} bytes")
            else:
                self._take(bytes(self._buffer[:size]), texts)
        self._flush(texts)
        return taken

    def _flush(self, texts: list[bytes]) -> None:
        """Submit the events that came one by one so far."""
        if texts:
            decoded = self._monitor.submit_texts(texts, transport=TRANSPORT, now=self._clock())
            self._refusals.tell(decoded.refusals)
            texts.clear()

    def _take(self, datagram: bytes, texts: list[bytes]) -> None:
        """Put the events of a datagram among `texts`, or count a datagram that is more than lines of JSON."""
        if not datagram.strip():
            self._refuse("unreadable", "the datagram is empty")
        elif datagram[0] in _MSGPACK_MAPS:
            self._submit(datagram, Form.MSGPACK)
        elif _LABELS.match(datagram):
            self._flush(texts)
            self._submit_labels(datagram)
        elif _WHOLE_JSON.match(datagram):
            self._submit(datagram, Form.JSON)
        elif b"\n" in datagram:
            texts += [line for line in datagram.split(b"\n") if line.strip()]
        else:
            texts.append(datagram)

    def _submit(self, datagram: bytes, form: Form) -> None:
        try:
            decoded = self._monitor.submit(datagram, form, transport=TRANSPORT, now=self._clock())
        except (Unreadable, TooManyEvents) as error:  # counted by the monitor
            self._refusals.tell_body(str(error))
        else:
            self._refusals.tell(decoded.refusals)

    def _submit_labels(self, datagram: bytes) -> None:
        try:
            decoded = self._monitor.submit_labels(datagram, Form.JSON, transport=TRANSPORT, now=self._clock())
        except (Unreadable, TooManyEvents) as error:  # counted by the monitor
            self._refusals.tell_body(str(error))
        else:
            self._refusals.tell(decoded.refusals)

    def _refuse(self, kind: str, reason: str) -> None:
        self._monitor.reject(TRANSPORT, kind)
        self._refusals.tell_body(reason)
