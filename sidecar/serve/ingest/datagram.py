"""Prediction events over a Unix datagram socket: one event, or one NDJSON or columnar batch, a datagram.

A datagram of labels is an object that begins with the key `labels`.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path

from sidecar.events import forms
from sidecar.events.forms import Form
from sidecar.events.refusals import BodyRefused
from sidecar.exposition.catalogue import BodyReason
from sidecar.monitor.monitor import Monitor
from sidecar.serve.ingest import unix
from sidecar.serve.ingest.refusals import RefusalLog

TRANSPORT = "unix_datagram"

DATAGRAM_BYTES = 256 * 1024
"""Longest datagram taken; longer ones arrive cut off, and are refused as too large."""

WAIT_SECONDS = 0.002
"""How long single events wait for others at the most, to be decoded together with them."""

_DRAINED_AT_ONCE = 256
_DRAINED_BYTES = 1024 * 1024
_LABELS = re.compile(rb'\s*\{\s*"labels"')


class DatagramListener:
    """Drain a socket in bulk: events that come one by one are decoded many at a time.

    A kernel queues few datagrams (10 with Linux), so those of several drains are gathered for a moment.
    """

    def __init__(self, monitor: Monitor, clock: Callable[[], float], path: Path, *, group: str | None) -> None:
        """Bind the socket; raises SocketFileError."""
        self._monitor = monitor
        self._clock = clock
        self._path = path
        self._socket = unix.bind(path, socket.SOCK_DGRAM, group=group)
        self._inode = path.lstat().st_ino
        self._texts: list[bytes] = []
        self._counting: asyncio.TimerHandle | None = None
        self._refusals = RefusalLog(TRANSPORT, clock)
        monitor.open_transport(TRANSPORT)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to take datagrams."""
        loop.add_reader(self._socket, self._take_waiting, loop)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Remove the socket file, so that no more can come, and take what still waits."""
        loop.remove_reader(self._socket)
        unix.remove(self._path, self._inode)
        while self._drain():
            pass
        self._count()
        self._socket.close()

    def _take_waiting(self, loop: asyncio.AbstractEventLoop) -> None:
        self._drain()
        if len(self._texts) >= _DRAINED_AT_ONCE:
            self._count()
        elif self._texts and self._counting is None:
            self._counting = loop.call_later(WAIT_SECONDS, self._count)

    def _drain(self) -> int:
        """Take the datagrams that wait, up to a bound that leaves room for others, and return their number."""
        receive, texts = self._socket.recv, self._texts
        room = _DRAINED_BYTES
        taken = 0
        while taken < _DRAINED_AT_ONCE and room > 0:
            try:
                datagram = receive(DATAGRAM_BYTES + 1)
            except BlockingIOError:
                break
            taken += 1
            size = len(datagram)
            room -= size
            if size > DATAGRAM_BYTES:
                self._refuse("too_large", f"the datagram is longer than {DATAGRAM_BYTES} bytes")
            elif not datagram.startswith(b'{"features"'):
                self._take(datagram)
            elif datagram.find(b"\n", 0, -1) < 0:
                texts.append(datagram.removesuffix(b"\n"))
            else:
                self._submit(datagram, forms.NDJSON)
        return taken

    def _take(self, datagram: bytes) -> None:
        """Keep a datagram of one event for a moment, and count the events of any other."""
        if not datagram or datagram.isspace():
            self._refuse("unreadable", "the datagram is empty")
        elif _LABELS.match(datagram):
            self._count()  # first, because they may be of one of those
            self._submit_labels(datagram)
        elif (form := forms.of_datagram(datagram)) is not None:
            self._submit(datagram, form)
        elif datagram.find(b"\n", 0, -1) >= 0:
            self._submit(datagram, forms.NDJSON)
        else:
            self._texts.append(datagram.removesuffix(b"\n"))

    def _count(self) -> None:
        """Count the events that were kept."""
        if self._counting is not None:
            self._counting.cancel()
            self._counting = None
        if self._texts:
            decoded = self._monitor.submit_texts(self._texts, transport=TRANSPORT, now=self._clock())
            self._texts.clear()
            self._refusals.tell(decoded.refusals)

    def _submit(self, datagram: bytes, form: Form) -> None:
        try:
            decoded = self._monitor.submit(datagram, form, transport=TRANSPORT, now=self._clock())
        except BodyRefused as error:  # counted by the monitor
            self._refusals.tell_body(str(error))
        else:
            self._refusals.tell(decoded.refusals)

    def _submit_labels(self, datagram: bytes) -> None:
        try:
            decoded = self._monitor.submit_labels(datagram, forms.JSON, transport=TRANSPORT, now=self._clock())
        except BodyRefused as error:  # counted by the monitor
            self._refusals.tell_body(str(error))
        else:
            self._refusals.tell(decoded.refusals)

    def _refuse(self, kind: BodyReason, reason: str) -> None:
        self._monitor.reject(TRANSPORT, kind)
        self._refusals.tell_body(reason)
