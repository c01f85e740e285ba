"""Bodies to the sidecar: by HTTP over TCP or a Unix stream socket, or as datagrams.

TransportError
 +-- Unreachable   it did not arrive: send it again
 |    +-- WrongKind   what is there is a socket of the other kind
 +-- Overloaded    turned away and not counted: send it again later
 +-- TooLarge      send less at once
 +-- Unanswered    it arrived and may have been counted: not to be sent again
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from model_sidecar_client.wire.encode import Body

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

DEFAULT_URL = "http://127.0.0.1:8000"
DATAGRAM_BYTES = 128 * 1024
HTTP_BYTES = 1024 * 1024

_LONGEST_RETRY_AFTER_SECONDS = 10.0


class TransportError(Exception):
    """A body was not counted for sure."""


class Unreachable(TransportError):
    """The body did not arrive."""


class WrongKind(Unreachable):
    """The socket file is of a datagram socket where a stream was asked for, or the other way round."""


class Overloaded(TransportError):
    """The body was turned away before any of it was counted."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class TooLarge(TransportError):
    """The body is larger than the sidecar or the kernel takes."""


class Unanswered(TransportError):
    """The body was sent, and no answer came in time."""


class Answer(NamedTuple):
    """How many events of a body were counted, how many refused, and why the first of those was."""

    accepted: int
    rejected: int
    reason: str | None = None


class Transport(Protocol):
    """A way to the sidecar. Only one thread sends; connections are made when they are needed."""

    @property
    def most_bytes(self) -> int:
        """Return how long a body may be."""

    def send(self, body: Body) -> Answer:
        """Send a body; raises TransportError."""

    def close(self) -> None:
        """Close the connection; the next body opens another."""


def default_target() -> str:
    """Return the target that the environment names, else the sidecar's default address."""
    return os.environ.get("MODEL_SIDECAR_SOCKET") or os.environ.get("MODEL_SIDECAR_URL") or DEFAULT_URL


def transport(target: str, *, timeout_seconds: float) -> Transport:
    """Return the transport for a target; raises ValueError for an invalid one."""
    if target.startswith("/"):
        return SocketFile(target, timeout_seconds=timeout_seconds)
    parts = urlsplit(target)
    if parts.scheme in ("unix", "unixgram") and parts.path and not parts.netloc:
        if parts.scheme == "unixgram":
            return Datagrams(parts.path, timeout_seconds=timeout_seconds)
        return Http("http://localhost", timeout_seconds=timeout_seconds, path=parts.path)
    if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
        return Http(target, timeout_seconds=timeout_seconds)
    raise ValueError(f"{target!r} is no target: http://HOST:PORT, unix:///PATH or unixgram:///PATH")


class Http:
    """HTTP on one connection that is kept open; `path` is that of a Unix stream socket."""

    most_bytes = HTTP_BYTES

    def __init__(self, url: str, *, timeout_seconds: float, path: str | None = None) -> None:
        self._parts = urlsplit(url)
        self._base = self._parts.path.rstrip("/").removesuffix("/monitor")
        self._timeout_seconds = timeout_seconds
        self._path = path
        self._connection: HTTPConnection | None = None

    def send(self, body: Body) -> Answer:
        """POST a body and wait for the answer; raises TransportError."""
        from http.client import HTTPException

        try:
            connection = self._connect()
            connection.request("POST", self._base + body.path, body.content, {"Content-Type": body.media_type})
        except (OSError, HTTPException) as error:
            self.close()
            raise _unreachable(error) from error
        try:
            response = connection.getresponse()
            content = response.read()
        except socket.timeout as error:
            self.close()
            raise Unanswered(str(error)) from error
        except (OSError, HTTPException) as error:
            # Closed without an answer: the connection was idle for too long, or the sidecar has stopped.
            self.close()
            raise Unreachable(str(error)) from error
        return _answer(response, content, len(body.events))

    def close(self) -> None:
        """Close the socket; the next body opens another.

        The socket alone: in the child of a fork, what reads an answer from it may be locked by a thread that is gone.
        """
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                os.close(connection.sock.detach())

    def _connect(self) -> HTTPConnection:
        if self._connection is None:
            from http.client import HTTPConnection, HTTPSConnection

            kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
            host = self._parts.hostname or "localhost"
            connection = kind(host, self._parts.port, timeout=self._timeout_seconds)
            if self._path is None:
                connection.connect()
            else:
                connection.sock = _connected(self._path, socket.SOCK_STREAM, self._timeout_seconds)
            self._connection = connection
        elif self._connection.sock is None:  # the last answer said that the connection ends
            self._connection = None
            return self._connect()
        return self._connection


def _answer(response: HTTPResponse, content: bytes, events: int) -> Answer:
    if response.status == 503:
        after = response.headers.get("Retry-After", "")
        seconds = float(after) if after.isdecimal() else 1.0
        raise Overloaded(min(seconds, _LONGEST_RETRY_AFTER_SECONDS))
    if response.status == 413:
        raise TooLarge
    if response.status == 202:
        return Answer(events, 0)
    accepted, reason = _refused(content)
    accepted = min(accepted, events) if response.status == 200 else 0
    return Answer(accepted, events - accepted, reason or f"an answer with status {response.status}")


def _refused(content: bytes) -> tuple[int, str | None]:
    """Return how many events an answer says were counted, and why the first of the others was not."""
    import json

    accepted, reason = 0, None
    with suppress(ValueError, TypeError, LookupError):  # it need not be the answer of a sidecar
        document = json.loads(content)
        reason = str(document["error"]) if "error" in document else None
        accepted = int(document["accepted"])
        first = document["errors"][0]
        reason = f"{first['path']}: {first['reason']}"
    return accepted, reason


class Datagrams:
    """Datagrams to a Unix socket, waiting while it is full."""

    def __init__(self, path: str, *, timeout_seconds: float) -> None:
        self.most_bytes = DATAGRAM_BYTES
        self._path = path
        self._timeout_seconds = timeout_seconds
        self._socket: socket.socket | None = None

    def send(self, body: Body) -> Answer:
        """Send a body as one datagram; raises TransportError."""
        try:
            if self._socket is None:
                self._socket = _connected(self._path, socket.SOCK_DGRAM, self._timeout_seconds)
            self._socket.send(body.content)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                raise TooLarge from error
            if not isinstance(error, socket.timeout):
                self.close()
            raise _unreachable(error) from error
        return Answer(len(body.events), 0)

    def close(self) -> None:
        """Close the socket; the next body opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SocketFile:
    """A Unix socket of either kind: the kernel refuses to connect to the other one, and then that is used."""

    def __init__(self, path: str, *, timeout_seconds: float) -> None:
        self._way: Transport = Http("http://localhost", timeout_seconds=timeout_seconds, path=path)
        self._other: Transport = Datagrams(path, timeout_seconds=timeout_seconds)

    @property
    def most_bytes(self) -> int:
        """Return how long a body may be."""
        return self._way.most_bytes

    def send(self, body: Body) -> Answer:
        """Send a body by the way that was right last; raises TransportError."""
        try:
            return self._way.send(body)
        except WrongKind:
            self._way, self._other = self._other, self._way
        if len(body.content) > self.most_bytes:
            raise TooLarge
        return self._way.send(body)

    def close(self) -> None:
        """Close the connection; the next body opens another."""
        self._way.close()


def _unreachable(error: Exception) -> Unreachable:
    kind = WrongKind if isinstance(error, OSError) and error.errno == errno.EPROTOTYPE else Unreachable
    return kind(str(error))


def _connected(path: str, kind: socket.SocketKind, timeout_seconds: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, kind)
    try:
        if kind == socket.SOCK_DGRAM:
            with suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * DATAGRAM_BYTES)
        made.settimeout(timeout_seconds)
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made
